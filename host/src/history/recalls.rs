//! Answers questions for the past, away from the loop that serves the peers: a few at a time, each peer one (the network
//! holds its next back until it is answered), none for a peer that has gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use gemba_net::{HostCommand, PeerNumber, Recall, RecallAnswer, TagSample, UnreadableSpan};
use tokio::sync::{Semaphore, mpsc};

use super::keeper::{Job, Wish};
use crate::historian::History;
use crate::limits;

/// The questions that are worked on or wait.
#[derive(Debug)]
pub(super) struct Recalls {
    jobs: SyncSender<Job>,
    commands: mpsc::Sender<HostCommand>,
    /// One place for each that is worked on; the others wait in the order they came.
    places: Arc<Semaphore>,
    /// Whether the newest question of each peer is not to be answered any more.
    asked: HashMap<PeerNumber, Arc<AtomicBool>>,
}

impl Recalls {
    pub(super) fn new(jobs: SyncSender<Job>, commands: mpsc::Sender<HostCommand>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let places = (cores / 2).clamp(1, limits::RECALLS_AT_ONCE);
        Self { jobs, commands, places: Arc::new(Semaphore::new(places)), asked: HashMap::new() }
    }

    pub(super) fn handle_recall(&mut self, peer: PeerNumber, recall: Recall) {
        let is_over: Arc<AtomicBool> = Arc::default();
        self.asked.insert(peer, is_over.clone());
        let (jobs, commands, places) = (self.jobs.clone(), self.commands.clone(), self.places.clone());
        tokio::spawn(async move {
            let Ok(_place) = places.acquire_owned().await else { return };
            let request = recall.request;
            let answered = tokio::task::spawn_blocking(move || answer(&jobs, &recall, &is_over)).await;
            let answer = match answered {
                Ok(Some(answer)) => answer,
                Ok(None) => return,
                Err(error) => {
                    tracing::error!("a question for the past could not be answered: {error}");
                    RecallAnswer { request, ..RecallAnswer::default() }
                }
            };
            // A network that has stopped says so elsewhere.
            let _ = commands.send(HostCommand::Recalled { peer, answer }).await;
        });
    }

    pub(super) fn handle_leave(&mut self, peer: PeerNumber) {
        if let Some(is_over) = self.asked.remove(&peer) {
            is_over.store(true, Ordering::Relaxed);
        }
    }
}

/// A host that ends does not wait for answers that nobody will read.
impl Drop for Recalls {
    fn drop(&mut self) {
        self.asked.values().for_each(|is_over| is_over.store(true, Ordering::Relaxed));
    }
}

/// The answer; none when nobody waits for it any more. Without history nothing is covered.
fn answer(jobs: &SyncSender<Job>, recall: &Recall, is_over: &AtomicBool) -> Option<RecallAnswer> {
    let is_over = || is_over.load(Ordering::Relaxed);
    if is_over() {
        return None;
    }
    let nothing = RecallAnswer { request: recall.request, ..RecallAnswer::default() };
    let (begun, receiver) = sync_channel(1);
    let Recall { tags, from, to, points, .. } = recall;
    let wish = Wish { tags: tags.clone(), from: *from, to: *to, points: *points as usize };
    if jobs.send(Job::Begin { wish, begun }).is_err() {
        return Some(nothing);
    }
    let Ok(begun) = receiver.recv() else { return Some(nothing) };
    let history = begun.finish_unless(is_over)?;
    if !history.damaged.is_empty() {
        // The keeper says it; when it has ended nobody does.
        let _ = jobs.send(Job::Blame(history.damaged.clone()));
    }
    Some(answer_of(recall.request, history))
}

fn answer_of(request: u32, history: History) -> RecallAnswer {
    let covered = history.coverage.iter().map(|span| (span.from, span.to)).collect();
    let unreadable = history.damaged.iter().filter(|damaged| damaged.is_gap).map(|damaged| UnreadableSpan {
        from: damaged.span.from,
        to: damaged.span.to,
        why: damaged.to_string(),
    });
    let unreadable = unreadable.collect();
    let is_thinned = history.tags.iter().any(|tag| tag.is_thinned);
    let count = history.tags.iter().map(|tag| tag.samples.len() + 1).sum();
    let mut samples = Vec::with_capacity(count);
    for told in history.tags {
        let of_tag = told.in_force.into_iter().chain(told.samples);
        samples.extend(of_tag.map(|sample| TagSample { tag: told.tag, sample }));
    }
    RecallAnswer { request, covered, is_thinned, unreadable, samples }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;
    use std::time::Duration;

    use gemba_twin::sample::Timestamp;

    use super::*;

    /// Far longer than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn recalls() -> (Recalls, Receiver<Job>, mpsc::Receiver<HostCommand>) {
        let (jobs, received) = sync_channel(64);
        let (sender, commands) = mpsc::channel(64);
        (Recalls::new(jobs, sender), received, commands)
    }

    fn ask(recalls: &mut Recalls, peer: u16) {
        // The points tell whose question is begun.
        let (request, points) = (peer.into(), peer.into());
        let recall = Recall { request, tags: None, from: Timestamp(0), to: Timestamp(1), points };
        recalls.handle_recall(PeerNumber(peer), recall);
    }

    /// Whose question is begun, and what is held as long as it is worked on.
    fn next_begin(jobs: &Receiver<Job>) -> (u16, SyncSender<crate::historian::Recall>) {
        let Ok(Job::Begin { begun, wish }) = jobs.recv_timeout(PATIENCE) else { panic!("no question is begun") };
        (wish.points as u16, begun)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn few_are_worked_on_at_once_and_none_for_a_peer_that_has_gone() {
        let (mut recalls, jobs, mut commands) = recalls();
        let places = recalls.places.available_permits();
        let peers = places as u16 + 3;
        (0..peers).for_each(|peer| ask(&mut recalls, peer));
        let begun: Vec<_> = (0..places).map(|_| next_begin(&jobs)).collect();
        assert!(jobs.try_recv().is_err(), "more than {places} at once");
        let waits = |peer: &u16| begun.iter().all(|(worked_on, _)| worked_on != peer);
        let gone = PeerNumber((0..peers).find(waits).unwrap());
        recalls.handle_leave(gone);
        drop(begun);
        // Those that waited come in turn; there is no history, so that nothing is covered.
        (1..peers - places as u16).for_each(|_| drop(next_begin(&jobs)));
        let mut answered = Vec::new();
        for _ in 1..peers {
            let Some(HostCommand::Recalled { peer, answer }) = commands.recv().await else { panic!("no answer") };
            assert!(answer.covered.is_empty() && answer.request == u32::from(peer.0));
            answered.push(peer);
        }
        assert!(!answered.contains(&gone));
        drop(recalls);
        assert!(commands.recv().await.is_none(), "and nothing more comes");
    }
}
