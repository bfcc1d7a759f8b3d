//! The historian at work in `gembad`: takes in what the gateway measures, has the record tell of every sealed segment, and
//! answers questions for the past.
//!
//! ```text
//! gateway feed ── Intake ──▶ keeper ── Report: sealed, expired ──▶ Daemon ▶ record
//!                              ▲  ◀────────── Recorded ───────────────┘
//!                              │ begins
//! peers ── Recall ──▶ recalls ─┘ read files, answer
//! ```
//!
//! The keeper is a thread that alone owns the [`crate::historian::Historian`]. What is measured goes to it and to the peers at the same
//! time, and waits for neither disk nor record: when the keeper is behind, samples are left out of history, counted and
//! said. So an error of its disk ends neither the telemetry nor the record, and one of the record leaves segments where
//! they are until it takes them.
//!
//! What the record is told is decided by what is there, not by what has happened: segments that nobody confirmed are
//! offered until the record holds them, and it takes each once. A crash anywhere in between is made good at the start.
//!
//! History speaks for the time in which a gateway did: it goes on from the first samples after a start, and a host
//! without a gateway only tells what it kept.

mod keeper;
mod recalls;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use gemba_net::{HostCommand, PeerNumber, Recall, TagSample};
use gemba_record::body::{BlobHash, Body};
use gemba_record::segment::Segment;
use gemba_record::site::Site;
use gemba_twin::path::{TagId, TagPath};
use gemba_twin::peer::PeerKey;
use tokio::sync::{mpsc, oneshot};

use self::keeper::{Job, Keeper};
use self::recalls::Recalls;
use crate::blobs::Blobs;
use crate::clock::now as clock;
use crate::historian::{HistorianConfig, HistorianError, Sealed};
use crate::limits;
use crate::sequencer::Sequencer;
use crate::site_dir::SiteDir;

/// The folder of history in a site's directory.
const HISTORY: &str = "history";

/// A tag as history knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeasuredTag {
    /// Its number.
    pub tag: TagId,
    /// Its path, to which history belongs.
    pub path: TagPath,
    /// The device that measures it, or the gateway that speaks for it.
    pub device: PeerKey,
}

/// Where history lies, and whether it goes on.
#[derive(Debug, Clone)]
pub struct HistorySetup {
    /// Its folder.
    pub dir: PathBuf,
    /// Where segments go.
    pub blobs: Blobs,
    /// How long segments are, and what is kept.
    pub config: HistorianConfig,
    /// Tags that the record knows.
    pub tags: Vec<MeasuredTag>,
    /// Segments that the record names.
    pub recorded: Vec<gemba_net::BlobHash>,
    /// Whether anything is going to be measured. If not, what there is is only read.
    pub is_measured: bool,
}

impl HistorySetup {
    /// That of a site.
    pub fn of(site: &SiteDir, config: HistorianConfig, is_measured: bool) -> Self {
        let (dir, blobs, site) = (site.dir().join(HISTORY), site.blobs(), site.site());
        let tags = (0..).map(TagId).zip(site.tags());
        let measured = tags.filter_map(|(id, tag)| {
            Some(MeasuredTag { tag: id, path: tag.path.clone(), device: site.tag_device(id)? })
        });
        let recorded = site.segments().iter().map(|segment| gemba_net::BlobHash(segment.blob)).collect();
        Self { dir, blobs, config, tags: measured.collect(), recorded, is_measured }
    }
}

/// The host's end of history.
#[derive(Debug)]
pub struct History {
    intake: Intake,
    reports: mpsc::Receiver<Report>,
    recalls: Recalls,
}

/// What the record is to be told.
#[derive(Debug)]
pub struct Report {
    sealed: Vec<Sealed>,
    expired: Vec<Sealed>,
    recorded: oneshot::Sender<Recorded>,
}

/// What the record says after a [`Report`].
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    /// It holds these.
    held: Vec<Sealed>,
    /// And not these, or no longer.
    gone: Vec<Sealed>,
}

impl History {
    /// Starts the keeper. It opens the history by itself, and goes on trying if that fails.
    pub fn start(setup: HistorySetup, commands: mpsc::Sender<HostCommand>) -> Result<Self, HistorianError> {
        let (jobs, received) = sync_channel(limits::HISTORY_JOBS);
        let (sender, reports) = mpsc::channel(1);
        let intake = Intake { jobs: jobs.clone(), waiting: Arc::default(), left_out: Arc::default() };
        let keeper = Keeper::new(setup, intake.waiting.clone(), intake.left_out.clone(), sender, commands.clone());
        let thread = std::thread::Builder::new().name("history".into()).spawn(move || keeper.run(&received));
        // It ends when all that send jobs have gone.
        drop(thread.map_err(HistorianError::Thread)?);
        Ok(Self { intake, reports, recalls: Recalls::new(jobs, commands) })
    }

    /// Where what is measured goes in.
    pub fn intake(&self) -> Intake {
        self.intake.clone()
    }

    /// The next report. Never ready again once the keeper has ended, which is said and ends nothing else.
    pub async fn next_report(&mut self) -> Report {
        match self.reports.recv().await {
            Some(report) => report,
            None => {
                tracing::error!(
                    "the historian has stopped; what is measured is not kept until the host is started anew"
                );
                std::future::pending().await
            }
        }
    }

    /// A peer asks for the past. It is answered, unless it goes before.
    pub fn handle_recall(&mut self, peer: PeerNumber, recall: Recall) {
        self.recalls.handle_recall(peer, recall);
    }

    /// A peer has gone: what it asked for is not worked on any more.
    pub fn handle_leave(&mut self, peer: PeerNumber) {
        self.recalls.handle_leave(peer);
    }
}

/// Takes what is measured into history. Never waits.
#[derive(Debug, Clone)]
pub struct Intake {
    jobs: SyncSender<Job>,
    /// Samples that wait for the keeper.
    waiting: Arc<AtomicUsize>,
    /// Samples that found no room.
    left_out: Arc<AtomicU64>,
}

impl Intake {
    /// Takes samples of these tags. When too many wait already they are left out of history, and the keeper says so.
    pub fn offer(&self, tags: &Arc<[MeasuredTag]>, samples: &[TagSample]) {
        let count = samples.len();
        let waiting = self.waiting.fetch_add(count, Ordering::Relaxed);
        let has_room = waiting.saturating_add(count) <= limits::HISTORY_SAMPLES;
        let job = || Job::Take { tags: tags.clone(), samples: samples.to_vec() };
        if !has_room || self.jobs.try_send(job()).is_err() {
            self.waiting.fetch_sub(count, Ordering::Relaxed);
            self.left_out.fetch_add(count as u64, Ordering::Relaxed);
        }
    }
}

/// Has the record tell what the report says, and says back what the record holds now. That the record cannot be written
/// is said and ends nothing: the keeper comes back with the same after a while.
pub fn record(report: Report, sequencer: &mut Sequencer) {
    let bodies = bodies_of(&report, sequencer.site().site());
    match sequencer.handle_own(bodies) {
        Ok(outcomes) => {
            for why in outcomes.into_iter().filter_map(Result::err) {
                tracing::error!(why, "the record refuses a segment of history; it is kept without proof");
            }
        }
        Err(error) => {
            tracing::error!("segments of history are kept, but the record cannot be told of them: {error}");
            // The keeper notices, and asks again later.
            return;
        }
    }
    let site = sequencer.site().site();
    let holds = |sealed: &Sealed| is_recorded(site, sealed);
    let recorded = Recorded {
        // One in which nothing was said proves nothing, and the record does not take it.
        held: report.sealed.into_iter().filter(|sealed| sealed.samples == 0 || holds(sealed)).collect(),
        gone: report.expired.into_iter().filter(|sealed| !holds(sealed)).collect(),
    };
    // A keeper that has gone offers them again after the next start.
    let _ = report.recorded.send(recorded);
}

fn is_recorded(site: &Site, sealed: &Sealed) -> bool {
    site.segments().iter().rev().any(|segment| segment.blob == sealed.blob.0)
}

/// What has to be said that the record does not say already.
fn bodies_of(report: &Report, site: &Site) -> Vec<Body> {
    let new = report.sealed.iter().filter(|sealed| sealed.samples > 0 && !is_recorded(site, sealed));
    let mut bodies: Vec<Body> = new.map(|sealed| Body::AddSegment(segment_of(sealed))).collect();
    let dropped = report.expired.iter().filter(|sealed| is_recorded(site, sealed));
    let blobs: Vec<BlobHash> = dropped.map(|sealed| BlobHash(sealed.blob.0)).collect();
    bodies.extend(blobs.chunks(gemba_record::limits::BATCH).map(|blobs| Body::DropSegments { blobs: blobs.to_vec() }));
    bodies
}

fn segment_of(sealed: &Sealed) -> Segment {
    Segment {
        blob: sealed.blob.0,
        bytes: sealed.bytes,
        samples: sealed.samples,
        from: sealed.from,
        to: sealed.to,
        devices: sealed.devices.clone(),
    }
}
