//! The thread that owns the historian: takes samples in, has what is sealed recorded and what has expired deleted, begins
//! recalls, tells the peers how far back history goes, and says what goes wrong.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Instant;

use gemba_net::{HostCommand, TagSample};
use gemba_twin::path::TagId;
use gemba_twin::sample::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::{HistorySetup, MeasuredTag, Recorded, Report, clock};
use crate::historian::{DamagedSegment, Historian, HistorianError, Recall};
use crate::limits;

/// What the keeper is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    /// Take these samples of these tags.
    Take { tags: Arc<[MeasuredTag]>, samples: Vec<TagSample> },
    /// Take from memory what a recall needs. No answer when there is no history.
    Begin { wish: Wish, begun: SyncSender<Recall> },
    /// A recall could not read these.
    Blame(Vec<DamagedSegment>),
}

/// What a recall is about.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) tags: Option<Vec<TagId>>,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) points: usize,
}

pub(super) struct Keeper {
    setup: HistorySetup,
    historian: Option<Historian>,
    /// Until when history speaks while nothing has been measured since the start; none when something has.
    held: Option<Timestamp>,
    /// The tags that were declared last.
    tags: Option<Arc<[MeasuredTag]>>,
    waiting: Arc<AtomicUsize>,
    left_out: Arc<AtomicU64>,
    reports: mpsc::Sender<Report>,
    commands: mpsc::Sender<HostCommand>,
    /// The answer to the report that is under way.
    recorded: Option<oneshot::Receiver<Recorded>>,
    /// Not before then is tried again what failed.
    retry: Instant,
    /// The beginning of history that the peers know.
    told: Option<Timestamp>,
    log: TroubleLog,
}

impl Keeper {
    pub(super) fn new(
        setup: HistorySetup,
        waiting: Arc<AtomicUsize>,
        left_out: Arc<AtomicU64>,
        reports: mpsc::Sender<Report>,
        commands: mpsc::Sender<HostCommand>,
    ) -> Self {
        Self {
            setup,
            historian: None,
            held: None,
            tags: None,
            waiting,
            left_out,
            reports,
            commands,
            recorded: None,
            retry: Instant::now(),
            told: None,
            log: TroubleLog::default(),
        }
    }

    /// Works until all who send jobs have gone.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        let mut polled = Instant::now();
        self.poll();
        loop {
            match jobs.recv_timeout(limits::HISTORY_POLL.saturating_sub(polled.elapsed())) {
                Ok(job) => self.handle_job(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if polled.elapsed() >= limits::HISTORY_POLL {
                self.poll();
                polled = Instant::now();
            }
        }
        // The next start reads the journal; synced, even a loss of power now takes nothing.
        if let Some(Err(error)) = self.historian.as_mut().map(Historian::sync) {
            self.log.say(&error);
        }
    }

    fn handle_job(&mut self, job: Job) {
        match job {
            Job::Take { tags, samples } => {
                self.waiting.fetch_sub(samples.len(), Ordering::Relaxed);
                if let Err(error) = self.take(tags, &samples) {
                    self.left_out.fetch_add(samples.len() as u64, Ordering::Relaxed);
                    self.log.say(&error);
                }
            }
            Job::Begin { wish: Wish { tags, from, to, points }, begun } => {
                if let Some(historian) = &self.historian {
                    // It is not waited for any more: nothing is lost.
                    let _ = begun.send(historian.begin_recall(tags.as_deref(), from, to, points));
                }
            }
            Job::Blame(damaged) => damaged.iter().for_each(|damaged| self.log.blame(damaged)),
        }
    }

    fn take(&mut self, tags: Arc<[MeasuredTag]>, samples: &[TagSample]) -> Result<(), HistorianError> {
        let now = clock();
        let Some(historian) = &mut self.historian else {
            self.left_out.fetch_add(samples.len() as u64, Ordering::Relaxed);
            return Ok(());
        };
        if self.held.is_some() {
            historian.begin_at(now)?;
            self.held = None;
        }
        if self.tags.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &tags)) {
            declare(historian, &tags);
            self.tags = Some(tags);
        }
        samples.chunks(limits::APPEND_SAMPLES).try_for_each(|samples| historian.append(samples, now))
    }

    /// Several times a second.
    fn poll(&mut self) {
        let is_due = Instant::now() >= self.retry;
        if self.historian.is_none() && is_due {
            self.open();
        }
        if let Some(historian) = &mut self.historian {
            let sealed = historian.poll_seal(self.held.unwrap_or_else(clock));
            historian.take_problems().iter().for_each(|problem| self.log.say(problem));
            if let Err(error) = sealed {
                self.log.say(&error);
            }
        }
        self.poll_recorded();
        if is_due {
            self.report();
        }
        self.tell();
        if self.historian.is_some() {
            self.log.mend();
        }
        self.log.count(self.left_out.load(Ordering::Relaxed));
    }

    fn open(&mut self) {
        let HistorySetup { dir, blobs, config, tags, recorded, is_measured } = &self.setup;
        if !is_measured && !dir.exists() {
            return;
        }
        let now = clock();
        match Historian::open(dir, blobs.clone(), *config, now) {
            Ok(mut historian) => {
                declare(&mut historian, tags);
                let lost = historian.lacking(recorded);
                if lost > 0 {
                    tracing::error!("history has gaps: the record names {lost} segments that its catalogue does not");
                }
                self.held = Some(now);
                self.historian = Some(historian);
            }
            Err(error) => {
                self.log.say(&error);
                self.retry = Instant::now() + limits::HISTORY_RETRY;
            }
        }
    }

    /// Tells the record what it does not know yet, a little at a time.
    fn report(&mut self) {
        let Some(historian) = &self.historian else { return };
        if self.recorded.is_some() {
            return;
        }
        let mut sealed = historian.unconfirmed();
        sealed.truncate(limits::REPORTED_SEGMENTS);
        let mut expired = historian.expired(clock());
        expired.truncate(limits::REPORTED_SEGMENTS);
        if sealed.is_empty() && expired.is_empty() {
            return;
        }
        let (sender, recorded) = oneshot::channel();
        if self.reports.try_send(Report { sealed, expired, recorded: sender }).is_ok() {
            self.recorded = Some(recorded);
        }
    }

    /// What the record holds is confirmed, what it let go is deleted.
    fn poll_recorded(&mut self) {
        let Some(receiver) = &mut self.recorded else { return };
        let recorded = match receiver.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => return,
            Err(oneshot::error::TryRecvError::Closed) => Recorded::default(),
            Ok(recorded) => recorded,
        };
        self.recorded = None;
        let Some(historian) = &mut self.historian else { return };
        let confirmed = recorded.held.iter().try_for_each(|sealed| historian.confirm(sealed));
        let deleted = recorded.gone.iter().try_for_each(|sealed| historian.delete(sealed));
        for error in [confirmed, deleted].into_iter().filter_map(Result::err) {
            self.log.say(&error);
        }
        if recorded.held.is_empty() && recorded.gone.is_empty() {
            // Nothing came of it: the record refused, or cannot be written.
            self.retry = Instant::now() + limits::HISTORY_RETRY;
        }
    }

    /// Tells the peers how far back history goes, when that has changed.
    fn tell(&mut self) {
        let Some((from, to)) = self.historian.as_ref().and_then(Historian::reach) else { return };
        if self.told != Some(from) {
            self.told = Some(from);
            // A network that has stopped says so elsewhere.
            let _ = self.commands.blocking_send(HostCommand::History { from, to });
        }
    }
}

fn declare(historian: &mut Historian, tags: &[MeasuredTag]) {
    for MeasuredTag { tag, path, device } in tags {
        historian.declare(*tag, path, *device);
    }
}

/// Says each trouble once, and when it is over.
#[derive(Debug, Default)]
struct TroubleLog {
    last: Option<String>,
    /// Whether there was trouble since the last poll.
    is_fresh: bool,
    blamed: BTreeSet<u64>,
    left_out: u64,
    counted: Option<Instant>,
}

impl TroubleLog {
    fn say(&mut self, trouble: &dyn Display) {
        let trouble = trouble.to_string();
        self.is_fresh = true;
        if self.last.as_ref() != Some(&trouble) {
            tracing::error!("history: {trouble}");
            self.last = Some(trouble);
        }
    }

    /// To be called with every poll.
    fn mend(&mut self) {
        if !std::mem::take(&mut self.is_fresh) && self.last.take().is_some() {
            tracing::info!("history goes on");
        }
    }

    /// Each segment once: there are as many as the historian keeps.
    fn blame(&mut self, damaged: &DamagedSegment) {
        if self.blamed.insert(damaged.number) {
            tracing::error!("history has a gap: {damaged}");
        }
    }

    /// Not more often than troubles are tried again.
    fn count(&mut self, left_out: u64) {
        let is_due = self.counted.is_none_or(|counted| counted.elapsed() >= limits::HISTORY_RETRY);
        if left_out > self.left_out && is_due {
            tracing::warn!(samples = left_out - self.left_out, "samples were left out of history");
            self.left_out = left_out;
            self.counted = Some(Instant::now());
        }
    }
}
