//! All avatars and bodies of a site, and what each peer is told of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Budget, Cell, Reach, Turn, apart, detail_at, urgency};
use crate::limits;
use crate::peers::PeerNumber;
use crate::relay::{ByName, Detail, Name, RelaySender, Sample};

/// How much a gap between two words of a motion changes what is thought to be their pace.
const GAP_SHARE: f32 = 0.2;
/// Of a tick that comes later than this (ms) no more counts: a host that was busy has heard nobody, and must not take all for
/// resting.
const LATE_MILLIS: u64 = 100;
/// Gaps without a word after which something rests: two words may be lost in a row.
const REST_GAPS: f32 = 4.0;

/// What has been sent, held back and dropped since the host began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CrowdStats {
    /// Samples told, of all peers.
    pub told: u64,
    /// Bytes of the datagrams that told them, without what UDP and QUIC add.
    pub bytes: u64,
    /// Times that something waited since a peer's budget was spent.
    pub over_budget: u64,
    /// Rests told once more, since they had not been acknowledged.
    pub rests_repeated: u64,
    /// What waits to be told, of all peers, at the newest tick.
    pub waiting: u64,
}

/// An avatar or a body.
#[derive(Debug)]
struct Subject {
    exact: Arc<Sample>,
    /// The same as it is told in each detail, once somebody was told so.
    told: [Option<Arc<Sample>>; 4],
    cell: Cell,
    /// When it was last heard to be elsewhere than before, on the crowd's clock, and whether it is known to stay there.
    heard: u64,
    /// Mean time between two words of its motion lately, milliseconds.
    gap: f32,
    will_stay: bool,
    /// When the peers were last told that there is news, and how often.
    news_at: u64,
    motions: u32,
    has_news: bool,
    is_resting: bool,
}

impl Subject {
    /// How long it has to be still until it rests: a viewer that draws ten frames a second is not at rest between two of
    /// them, nor when a word of its motion is lost.
    fn rests_after(&self) -> u64 {
        let (least, most) = (limits::REST_AFTER.0.as_millis() as f32, limits::REST_AFTER.1.as_millis() as f32);
        (self.gap * REST_GAPS).clamp(least, most) as u64
    }

    fn in_detail(&mut self, detail: Detail) -> Arc<Sample> {
        let told = &mut self.told[detail as usize];
        told.get_or_insert_with(|| Arc::new(self.exact.in_detail(detail))).clone()
    }
}

/// What is new in one tick. Bodies lie by cell, since whole cells are beyond a peer's reach.
#[derive(Default)]
struct News {
    avatars: Vec<(Cell, Fresh)>,
    bodies: BTreeMap<Cell, Vec<Fresh>>,
}

/// News of one subject in this tick.
struct Fresh {
    name: Name,
    /// Where it is in its round of motions, of which [`Reach::turns_away`] tells who is told.
    turn: u32,
    is_resting: bool,
}

/// Something that is to be told to one peer.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    since: u64,
    /// Of a rest: until when it waits at least, and how often it was told.
    not_before: u64,
    tries: u32,
}

impl Waiting {
    fn since(since: u64) -> Self {
        Self { since, not_before: 0, tries: 0 }
    }
}

/// A peer that is told.
#[derive(Debug)]
struct Watcher {
    sender: RelaySender,
    place: Option<[i32; 3]>,
    cell: Option<Cell>,
    waiting: ByName<Waiting>,
    budget: Budget,
    asked_for: Option<PeerNumber>,
    /// Mean bytes of a sample lately.
    sample_bytes: f32,
    /// When it was last looked at which bodies are in reach, and whether that was from another cell.
    looked_at: u64,
    has_moved: bool,
    /// When on the crowd's clock it was told of all bodies at once, if it was.
    joined_at: Option<u64>,
}

/// All that a host tells.
#[derive(Debug, Default)]
pub struct Crowd {
    /// Milliseconds that have passed since the first tick: the host's clock, but for its jumps, and for how late ticks were.
    now: u64,
    clock: Option<u64>,
    subjects: ByName<Subject>,
    bodies: BTreeMap<Cell, BTreeSet<Name>>,
    moving: BTreeSet<Name>,
    watchers: BTreeMap<PeerNumber, Watcher>,
    presenters: BTreeSet<Name>,
    stats: CrowdStats,
}

impl Crowd {
    /// How things stand.
    pub fn stats(&self) -> CrowdStats {
        self.stats
    }

    /// A peer is to be told of everyone from now on, with so many bytes a second.
    pub fn join(&mut self, peer: PeerNumber, bytes_per_sec: u64) {
        let waiting = Waiting::since(self.now);
        let others = self.subjects.keys().filter(|name| name.is_avatar() && **name != Name::of_avatar(peer));
        let watcher = Watcher {
            sender: RelaySender::default(),
            place: None,
            cell: None,
            waiting: others.map(|name| (*name, waiting)).collect(),
            budget: Budget::new(bytes_per_sec),
            asked_for: None,
            sample_bytes: 24.0,
            looked_at: 0,
            has_moved: true,
            joined_at: None,
        };
        self.watchers.insert(peer, watcher);
        self.place_watcher(peer);
    }

    /// A peer is being told of all bodies as they are now, surely and on another way: of those that rest only what differs
    /// from now on is left to tell.
    pub fn note_joined(&mut self, peer: PeerNumber) {
        if let Some(watcher) = self.watchers.get_mut(&peer) {
            watcher.joined_at = Some(self.now);
            let rests = |name: &Name| self.subjects.get(name).is_some_and(|subject| subject.is_resting);
            watcher.waiting.retain(|name, _| name.is_avatar() || !rests(name));
        }
    }

    /// A peer has gone, and its avatar with it.
    pub fn leave(&mut self, peer: PeerNumber) {
        self.watchers.remove(&peer);
        self.presenters.remove(&Name::of_avatar(peer));
        self.forget(Name::of_avatar(peer));
    }

    /// There is no such avatar or body any more.
    pub fn forget(&mut self, name: Name) {
        let Some(subject) = self.subjects.remove(&name) else { return };
        self.moving.remove(&name);
        self.leave_cell(name, subject.cell);
        for watcher in self.watchers.values_mut() {
            watcher.waiting.remove(&name);
            watcher.sender.forget(name);
        }
    }

    /// Whether this peer is told first, wherever it is.
    pub fn present(&mut self, peer: PeerNumber, is_presenting: bool) {
        if is_presenting {
            self.presenters.insert(Name::of_avatar(peer));
        } else {
            self.presenters.remove(&Name::of_avatar(peer));
        }
    }

    /// `peer` wants to be told of another one first, wherever that is; or of none.
    pub fn ask_for(&mut self, peer: PeerNumber, whom: Option<PeerNumber>) {
        if let Some(watcher) = self.watchers.get_mut(&peer) {
            watcher.asked_for = whom;
        }
    }

    /// An avatar or a body is so now; `rests` if it is known to stay so. What moves no more for [`limits::REST_AFTER`],
    /// or longer if it is told seldom, rests as well.
    pub fn handle_sample(&mut self, name: Name, sample: Sample, rests: bool) {
        let cell = Cell::of(sample.place());
        let now = self.now;
        let Some(subject) = self.subjects.get_mut(&name) else {
            let exact = Arc::new(sample);
            let told = [None, None, None, None];
            let subject = Subject {
                exact,
                told,
                cell,
                heard: now,
                gap: 0.0,
                will_stay: rests,
                news_at: 0,
                motions: 0,
                has_news: true,
                is_resting: false,
            };
            self.subjects.insert(name, subject);
            self.moving.insert(name);
            self.enter_cell(name, cell);
            return self.follow(name);
        };
        if subject.exact.is_as(&sample) {
            subject.will_stay |= rests;
            return;
        }
        let before = std::mem::replace(&mut subject.cell, cell);
        subject.exact = Arc::new(sample);
        subject.told = [None, None, None, None];
        if !subject.is_resting {
            // What comes together counts as one word.
            let gap = (now - subject.heard) as f32;
            subject.gap += (gap - subject.gap) * GAP_SHARE;
        }
        (subject.heard, subject.will_stay) = (now, rests);
        (subject.has_news, subject.is_resting) = (true, false);
        self.moving.insert(name);
        if before != cell {
            self.leave_cell(name, before);
            self.enter_cell(name, cell);
        }
        self.follow(name);
    }

    /// Where a peer's head is, millimetres; none before it has told.
    pub fn place_of(&self, peer: PeerNumber) -> Option<[i32; 3]> {
        self.subjects.get(&Name::of_avatar(peer)).map(|subject| subject.exact.place())
    }

    /// Whether a peer presents.
    pub fn presents(&self, peer: PeerNumber) -> bool {
        self.presenters.contains(&Name::of_avatar(peer))
    }

    /// An answer of a peer has arrived.
    pub fn handle_acks(&mut self, peer: PeerNumber, bytes: &[u8]) {
        let Some(watcher) = self.watchers.get_mut(&peer) else { return };
        for (name, sample) in watcher.sender.handle_acks(bytes) {
            let rest = self.subjects.get(&name).filter(|subject| subject.is_resting);
            if sample.is_resting() && rest.is_some_and(|subject| subject.exact.is_as(&sample)) {
                watcher.waiting.remove(&name);
            }
        }
    }

    /// Packets for each peer whose turn it is at `clock` (ms), `taken` bytes of whose first one are somebody else's. The
    /// others are told of what is new when theirs comes.
    pub fn tick(
        &mut self,
        clock: u64,
        turn: Turn,
        taken: impl Fn(PeerNumber) -> usize,
    ) -> Vec<(PeerNumber, Vec<Vec<u8>>)> {
        let passed = clock.saturating_sub(self.clock.replace(clock).unwrap_or(clock)).min(LATE_MILLIS);
        self.now += passed;
        let news = self.news(clock);
        let mut out = Vec::new();
        self.stats.waiting = 0;
        for (peer, watcher) in &mut self.watchers {
            watcher.budget.pass(passed);
            watcher.notice(*peer, self.now, &news, &self.presenters);
            if !turn.is_of(*peer) {
                self.stats.waiting += watcher.waiting.len() as u64;
                continue;
            }
            watcher.look(*peer, self.now, &self.subjects, &self.bodies);
            let told = watcher.choose(self.now, &mut self.subjects, &self.presenters, &mut self.stats);
            if !told.is_empty() {
                let packets = watcher.sender.write(clock, &told, taken(*peer));
                watcher.charge(&packets, told.len());
                self.stats.told += told.len() as u64;
                self.stats.bytes += packets.iter().map(|packet| packet.len() as u64).sum::<u64>();
                out.push((*peer, packets));
            }
            self.stats.waiting += watcher.waiting.len() as u64;
        }
        out
    }

    /// What has moved since it was last told to anyone, or has come to rest.
    fn news(&mut self, clock: u64) -> News {
        let (now, subjects, mut news) = (self.now, &mut self.subjects, News::default());
        self.moving.retain(|name| {
            let Some(subject) = subjects.get_mut(name) else { return false };
            let rests = subject.will_stay || now - subject.heard >= subject.rests_after();
            let due = subject.has_news && now >= subject.news_at + limits::MOTION_INTERVAL.as_millis() as u64;
            if !rests && !due {
                return true;
            }
            if rests {
                subject.exact = Arc::new(subject.exact.later(clock));
                subject.told = [None, None, None, None];
            }
            (subject.is_resting, subject.has_news, subject.news_at) = (rests, false, now);
            subject.motions = subject.motions.wrapping_add(1);
            let turn = subject.motions.wrapping_add(name.turn()) % Reach::ROUND;
            let fresh = Fresh { name: *name, turn, is_resting: rests };
            if name.is_avatar() {
                news.avatars.push((subject.cell, fresh));
            } else {
                news.bodies.entry(subject.cell).or_default().push(fresh);
            }
            !rests
        });
        news
    }

    /// A peer is where its avatar is.
    fn follow(&mut self, name: Name) {
        if let Some(peer) = name.avatar() {
            self.place_watcher(peer);
        }
    }

    fn place_watcher(&mut self, peer: PeerNumber) {
        let subject = self.subjects.get(&Name::of_avatar(peer));
        if let (Some(watcher), Some(subject)) = (self.watchers.get_mut(&peer), subject) {
            watcher.place = Some(subject.exact.place());
            watcher.has_moved |= watcher.cell.replace(subject.cell) != Some(subject.cell);
        }
    }

    fn enter_cell(&mut self, name: Name, cell: Cell) {
        if !name.is_avatar() {
            self.bodies.entry(cell).or_default().insert(name);
        }
    }

    fn leave_cell(&mut self, name: Name, cell: Cell) {
        if let Some(bodies) = self.bodies.get_mut(&cell)
            && bodies.remove(&name)
            && bodies.is_empty()
        {
            self.bodies.remove(&cell);
        }
    }
}

impl Watcher {
    /// Looks now and then at which bodies are in reach: those that have come into it are to be told, the others are
    /// forgotten.
    fn look(
        &mut self,
        peer: PeerNumber,
        now: u64,
        subjects: &ByName<Subject>,
        bodies: &BTreeMap<Cell, BTreeSet<Name>>,
    ) {
        let (soon, late) = (limits::LOOK_INTERVAL.0.as_millis() as u64, limits::LOOK_INTERVAL.1.as_millis() as u64);
        // Peers that came at the same time look at different ones.
        let wait = if self.has_moved { soon } else { late + u64::from(peer.0 % 16) * 10 };
        let Some(here) = self.cell.filter(|_| now >= self.looked_at + wait) else { return };
        (self.looked_at, self.has_moved) = (now, false);
        let is_gone = |name: &Name| {
            let Some(subject) = subjects.get(name) else { return true };
            !name.is_avatar() && here.reach(subject.cell) == Reach::Beyond
        };
        self.waiting.retain(|name, _| !is_gone(name));
        self.sender.retain(|name| !is_gone(name));
        for (_, names) in bodies.iter().filter(|(cell, _)| here.reach(**cell) != Reach::Beyond) {
            for name in names {
                let Some(subject) = subjects.get(name) else { continue };
                let was_told = self.joined_at.is_some_and(|at| subject.heard < at) && subject.is_resting;
                let known = self.sender.known(*name);
                if !was_told && !known.is_some_and(|known| known.is_resting() && known.is_as(&subject.exact)) {
                    self.waiting.entry(*name).or_insert(Waiting::since(now));
                }
            }
        }
    }

    fn notice(&mut self, peer: PeerNumber, now: u64, news: &News, presenters: &BTreeSet<Name>) {
        let here = self.cell;
        // Who has not shown where they are may be anywhere among the others, and near no body.
        for (cell, fresh) in &news.avatars {
            let reach = here.map_or(Reach::Near, |here| here.reach(*cell));
            if fresh.name != Name::of_avatar(peer) {
                self.notice_one(peer, now, fresh, reach, presenters);
            }
        }
        let Some(here) = here else { return };
        let in_reach = news.bodies.iter().map(|(cell, fresh)| (here.reach(*cell), fresh));
        for (reach, fresh) in in_reach.filter(|(reach, _)| *reach != Reach::Beyond) {
            fresh.iter().for_each(|fresh| self.notice_one(peer, now, fresh, reach, presenters));
        }
    }

    fn notice_one(&mut self, peer: PeerNumber, now: u64, fresh: &Fresh, reach: Reach, presenters: &BTreeSet<Name>) {
        let Fresh { name, turn, is_resting } = fresh;
        let turns_away = reach.turns_away(turn + u32::from(peer.0) % Reach::ROUND);
        let is_due = turns_away == 0 || self.is_hero(*name, presenters);
        if *is_resting {
            let waiting = self.waiting.entry(*name).or_insert(Waiting::since(now));
            waiting.tries = 0;
            // What is far has its turn as if it moved on: most of what stops there will have gone on by then.
            let wait = u64::from(turns_away) * limits::MOTION_INTERVAL.as_millis() as u64;
            waiting.not_before = if is_due { now } else { now + wait };
        } else if is_due {
            self.waiting.entry(*name).or_insert(Waiting::since(now));
        } else if self.waiting.get(name).is_some_and(|waiting| waiting.not_before > now) {
            // It rests no more.
            self.waiting.remove(name);
        }
    }

    fn is_hero(&self, name: Name, presenters: &BTreeSet<Name>) -> bool {
        self.asked_for.is_some_and(|whom| Name::of_avatar(whom) == name) || presenters.contains(&name)
    }

    /// What is told now, by name.
    fn choose(
        &mut self,
        now: u64,
        subjects: &mut ByName<Subject>,
        presenters: &BTreeSet<Name>,
        stats: &mut CrowdStats,
    ) -> Vec<(Name, Arc<Sample>)> {
        let mut due: Vec<(f32, Name, f32)> = Vec::with_capacity(self.waiting.len());
        let mut heroes = 0;
        for (name, waiting) in &self.waiting {
            let Some(subject) = subjects.get(name) else { continue };
            if subject.is_resting && now < waiting.not_before {
                continue;
            }
            let away = self.place.map_or(0.0, |here| apart(here, subject.exact.place()));
            let is_hero = heroes < limits::HEROES && self.is_hero(*name, presenters);
            heroes += usize::from(is_hero);
            let urgency = if is_hero { f32::INFINITY } else { urgency(now - waiting.since.min(now), away) };
            due.push((urgency, *name, if is_hero { 0.0 } else { away }));
        }
        let fits = (self.budget.bytes() as f32 / self.sample_bytes) as usize;
        if due.len() > fits.max(heroes) {
            // Full datagrams carry more for what they cost: what does not fit now waits until one is full.
            let full = self.budget.bytes() >= limits::POSE_DATAGRAM_BYTES;
            let most = if full { fits.max(heroes) } else { heroes };
            stats.over_budget += (due.len() - most) as u64;
            if most == 0 {
                return Vec::new();
            }
            due.select_nth_unstable_by(most - 1, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            due.truncate(most);
        }
        due.sort_unstable_by_key(|(_, name, _)| *name);
        due.iter().filter_map(|(_, name, away)| self.tell(*name, *away, now, subjects.get_mut(name)?, stats)).collect()
    }

    fn tell(
        &mut self,
        name: Name,
        away: f32,
        now: u64,
        subject: &mut Subject,
        stats: &mut CrowdStats,
    ) -> Option<(Name, Arc<Sample>)> {
        if !subject.is_resting {
            self.waiting.remove(&name);
            return Some((name, subject.in_detail(detail_at(away))));
        }
        let waiting = self.waiting.get_mut(&name)?;
        stats.rests_repeated += u64::from(waiting.tries > 0);
        let tries = waiting.tries + 1;
        *waiting = Waiting { since: now, not_before: now + wait_millis(tries), tries };
        Some((name, subject.in_detail(Detail::Exact)))
    }

    fn charge(&mut self, packets: &[Vec<u8>], samples: usize) {
        let bytes: usize = packets.iter().map(|packet| packet.len() + limits::DATAGRAM_OVERHEAD).sum();
        self.budget.take(bytes);
        let mean = bytes as f32 / samples.max(1) as f32;
        self.sample_bytes = (self.sample_bytes * 0.9 + mean * 0.1).clamp(2.0, 200.0);
    }
}

/// How long to wait for an answer to a rest that has been told so often: twice as long each time.
fn wait_millis(tries: u32) -> u64 {
    let (first, last) = (limits::REST_REPEATS.0.as_millis() as u64, limits::REST_REPEATS.1.as_millis() as u64);
    (first << (tries - 1).min(10)).min(last)
}
