//! What happened: machines that went out of order and came back, and times in which nobody knew. From the samples of
//! the tags that are bound as a thing's state; and when anything was recorded at all.

use std::collections::{HashMap, VecDeque};

use gemba_net::{Recall, RecallAnswer};
use gemba_twin::machine_state::MachineState;
use gemba_twin::path::TagId;
use gemba_twin::sample::{Quality, Sample, Timestamp};

use super::window::{Covered, placed};

/// Events kept, the newest: a mark each, of which a bar has room for a few hundred.
const EVENTS: usize = 20_000;

/// Spans kept, the newest.
const SPANS: usize = 4096;

/// Something to jump to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// Whose state it is.
    pub tag: TagId,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It went out of order.
    Faulted,
    /// It is in order again.
    Recovered,
    /// Nobody knows its state from here on.
    Lost,
    /// Its state is known again.
    Found,
}

impl EventKind {
    /// What a person reads.
    pub fn label(self) -> &'static str {
        match self {
            EventKind::Faulted => "faulted",
            EventKind::Recovered => "recovered",
            EventKind::Lost => "data bad",
            EventKind::Found => "data good again",
        }
    }
}

/// What a state sample says of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    InOrder,
    OutOfOrder,
    Unknown,
}

/// The whole history at a glance.
#[derive(Debug, Default)]
pub struct Overview {
    covered: Covered,
    events: VecDeque<Event>,
    conditions: HashMap<TagId, (Timestamp, Condition)>,
    known_to: Option<Timestamp>,
}

impl Overview {
    /// What was recorded when.
    pub fn covered(&self) -> &Covered {
        &self.covered
    }

    /// What happened, oldest first.
    pub fn events(&self) -> &VecDeque<Event> {
        &self.events
    }

    /// Up to when this is known; none before the first answer.
    pub(super) fn known_to(&self) -> Option<Timestamp> {
        self.known_to
    }

    /// The first event after an instant.
    pub fn after(&self, instant: Timestamp) -> Option<&Event> {
        self.events.get(self.events.partition_point(|event| event.at <= instant))
    }

    /// The last event before an instant.
    pub fn before(&self, instant: Timestamp) -> Option<&Event> {
        let next = self.events.partition_point(|event| event.at < instant);
        next.checked_sub(1).and_then(|i| self.events.get(i))
    }

    /// Takes in what was recalled of the state tags from where this ended.
    pub(super) fn handle_answer(&mut self, asked: &Recall, answer: RecallAnswer) {
        let covered = Covered::new(answer.covered);
        // What is only just being measured is covered in the next answer.
        let covered_to = covered.spans().last().map(|(_, to)| *to);
        self.known_to = Some(covered_to.filter(|to| *to > asked.from).unwrap_or(asked.to));
        let mut spans = self.covered.merged(&covered).spans().to_vec();
        let surplus = spans.len().saturating_sub(SPANS);
        spans.drain(..surplus);
        self.covered = Covered::new(spans);
        let mut news = Vec::new();
        for sample in answer.samples {
            let (at, state) = placed(sample.sample);
            news.extend(self.note(sample.tag, at, condition(&state)));
        }
        news.sort_by_key(|event| event.at);
        self.events.extend(news);
        // Answers follow each other in time, but for what reached the historian late.
        self.events.make_contiguous().sort_by_key(|event| event.at);
        let surplus = self.events.len().saturating_sub(EVENTS);
        self.events.drain(..surplus);
    }

    /// Forgets what history has forgotten.
    pub(super) fn forget_before(&mut self, from: Timestamp) {
        let old = self.events.partition_point(|event| event.at < from);
        self.events.drain(..old);
        let spans = self.covered.spans().iter().filter(|(_, to)| *to > from);
        self.covered = Covered::new(spans.map(|(a, b)| ((*a).max(from), *b)).collect());
    }

    fn note(&mut self, tag: TagId, at: Timestamp, now: Condition) -> Option<Event> {
        let before = self.conditions.get(&tag).copied();
        if before.is_some_and(|(known, _)| known >= at) {
            return None;
        }
        self.conditions.insert(tag, (at, now));
        let kind = match (before.map(|(_, condition)| condition), now) {
            (Some(before), now) if before == now => return None,
            // What a machine was when history begins is no news.
            (None, _) => return None,
            (Some(_), Condition::OutOfOrder) => EventKind::Faulted,
            (Some(_), Condition::Unknown) => EventKind::Lost,
            (Some(Condition::Unknown), Condition::InOrder) => EventKind::Found,
            (Some(_), Condition::InOrder) => EventKind::Recovered,
        };
        Some(Event { at, tag, kind })
    }
}

fn condition(sample: &Sample) -> Condition {
    if sample.quality == Quality::Bad {
        return Condition::Unknown;
    }
    match sample.value.as_ref().and_then(MachineState::from_value) {
        Some(MachineState::Faulted) => Condition::OutOfOrder,
        Some(_) => Condition::InOrder,
        None => Condition::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_net::TagSample;
    use gemba_twin::sample::Value;

    fn secs(at: i64) -> Timestamp {
        Timestamp::from_secs(at)
    }

    fn state(tag: u32, at: i64, state: i64, quality: Quality) -> TagSample {
        let value = Some(Value::Int(state));
        TagSample { tag: TagId(tag), sample: Sample { value, quality, source_time: secs(at), server_time: secs(at) } }
    }

    fn take(overview: &mut Overview, span: (i64, i64), samples: Vec<TagSample>) {
        let (from, to) = (secs(span.0), secs(span.1));
        let asked = Recall { request: 1, tags: None, from, to, points: 9 };
        let answer = RecallAnswer { request: 1, covered: vec![(from, to)], samples, ..RecallAnswer::default() };
        overview.handle_answer(&asked, answer);
    }

    fn seen(overview: &Overview) -> Vec<(i64, u32, EventKind)> {
        overview.events().iter().map(|e| (e.at.0 / 1_000_000, e.tag.0, e.kind)).collect()
    }

    #[test]
    fn faults_recoveries_and_bad_data_are_events_and_other_changes_are_not() {
        let (good, bad) = (Quality::Good, Quality::Bad);
        let mut overview = Overview::default();
        let cnc =
            [(0, 2, good), (10, 3, good), (20, 5, good), (30, 2, good), (40, 2, bad), (50, 2, good), (60, 4, good)];
        let mut samples: Vec<_> = cnc.iter().map(|(at, s, q)| state(0, *at, *s, *q)).collect();
        samples.extend([state(1, 0, 5, good), state(1, 25, 1, good)]);
        take(&mut overview, (0, 100), samples);
        use EventKind::{Faulted, Found, Lost, Recovered};
        let expected = [(20, 0, Faulted), (25, 1, Recovered), (30, 0, Recovered), (40, 0, Lost), (50, 0, Found)];
        assert_eq!(seen(&overview), expected);
        assert_eq!(overview.after(secs(20)).map(|e| e.at), Some(secs(25)));
        assert_eq!(overview.before(secs(20)).map(|e| e.at), None);
        assert_eq!(overview.before(secs(21)).map(|e| e.at), Some(secs(20)));
        overview.forget_before(secs(30));
        assert_eq!((seen(&overview).len(), overview.covered().spans()), (3, &[(secs(30), secs(100))][..]));
    }

    #[test]
    fn an_answer_that_overlaps_the_one_before_tells_nothing_twice() {
        let good = Quality::Good;
        let mut overview = Overview::default();
        take(&mut overview, (0, 50), vec![state(0, 0, 2, good), state(0, 40, 5, good)]);
        assert_eq!(overview.known_to(), Some(secs(50)));
        take(&mut overview, (50, 90), vec![state(0, 40, 5, good), state(0, 80, 2, good)]);
        assert_eq!(seen(&overview), [(40, 0, EventKind::Faulted), (80, 0, EventKind::Recovered)]);
        assert_eq!(overview.covered().spans(), [(secs(0), secs(90))]);
    }
}
