//! The readers of a session: one task a stream, all into one queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use quinn::{Connection, RecvStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::blob_hash::BlobHash;
use crate::blob_intake::{BlobError, BlobIntake};
use crate::bulk_line::{Asked, BulkLine, ask};
use crate::frames::{self, FrameError};
use crate::join::Manifest;
use crate::limits;
use crate::link::Counters;
use crate::recall::{self, RecallAnswer, RecallError};
use crate::telemetry::packed::{self, Frame};
use crate::telemetry::{TagSample, TagWindow};
use crate::wire::NO_BLOB;

/// What the readers of a session bring.
pub(crate) enum Arrival {
    Control(Vec<u8>),
    Samples(Vec<TagSample>),
    Windows(Vec<TagWindow>),
    Recalled(RecallAnswer),
    Datagram(Vec<u8>),
    /// Verified, if the host is of minor 4 or later.
    BlobPart {
        hash: BlobHash,
        offset: u64,
        bytes: Vec<u8>,
        total: u64,
    },
    /// Where some bodies are: the next piece of those that come on the second connection.
    Piece(Vec<u8>),
    /// There will be no second connection, or no more pieces on it.
    NoPieces,
    BlobFailed {
        hash: BlobHash,
        why: String,
    },
    /// Part of something large: nothing to handle yet, but the host lives.
    Part,
    Nonsense(String),
}

/// A blob that is wished for.
pub(crate) enum Wish {
    /// From this byte on; nobody has been asked.
    New(BlobHash, u64),
    Asked(Asked),
}

/// One task a stream, all into one queue.
#[derive(Clone)]
pub(crate) struct Readers {
    pub(crate) heard: mpsc::Sender<Arrival>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) bulk: Arc<BulkLine>,
}

impl Readers {
    pub(crate) async fn control(self, stream: RecvStream) {
        self.frames(stream, limits::FRAME_BYTES, |counters| &counters.control, Arrival::Control).await;
    }

    /// The first stream that the host opens brings what is measured now; each further one an answer from the past.
    pub(crate) async fn telemetry(self, connection: Connection) {
        let mut tasks = JoinSet::new();
        while let Ok(stream) = connection.accept_uni().await {
            if stream.id().index() == 0 {
                tasks.spawn(self.clone().samples(stream));
            } else {
                tasks.spawn(self.clone().recalled(stream));
            }
            while tasks.try_join_next().is_some() {}
        }
    }

    async fn samples(self, stream: RecvStream) {
        let arrival = |body: Vec<u8>| match packed::decode(&body) {
            Ok(Frame::Samples(samples)) => Arrival::Samples(samples),
            Ok(Frame::Windows(windows)) => Arrival::Windows(windows),
            Err(error) => Arrival::Nonsense(error.to_string()),
        };
        self.frames(stream, limits::BATCH_BYTES, |counters| &counters.telemetry, arrival).await;
    }

    async fn recalled(self, mut stream: RecvStream) {
        // A full queue means that enough has been heard.
        let arriving = || drop(self.heard.try_send(Arrival::Part));
        let counted = |bytes| {
            self.counters.recall.fetch_add(bytes, Relaxed);
        };
        let arrival = match recall::read(&mut stream, arriving, counted).await {
            Ok(answer) => Arrival::Recalled(answer),
            Err(RecallError::Over) => return,
            Err(error) => Arrival::Nonsense(error.to_string()),
        };
        // A session that has ended reads no more.
        let _ = self.heard.send(arrival).await;
    }

    /// Brings frame after frame, until the stream ends (the reason comes with the connection's end) or makes no sense.
    async fn frames(
        self,
        mut stream: RecvStream,
        limit: usize,
        counter: impl Fn(&Counters) -> &AtomicU64,
        arrival: impl Fn(Vec<u8>) -> Arrival,
    ) {
        loop {
            // A full queue means that enough has been heard.
            let arriving = || drop(self.heard.try_send(Arrival::Part));
            let arrival = match frames::read(&mut stream, limit, arriving).await {
                Ok(body) => {
                    counter(&self.counters).fetch_add(body.len() as u64, Relaxed);
                    arrival(body)
                }
                Err(FrameError::Wire(error)) => Arrival::Nonsense(error.to_string()),
                Err(FrameError::Over) => return,
            };
            let last = matches!(arrival, Arrival::Nonsense(_));
            if self.heard.send(arrival).await.is_err() || last {
                return;
            }
        }
    }

    pub(crate) async fn datagrams(self, connection: Connection) {
        while let Ok(bytes) = connection.read_datagram().await {
            self.counters.pose.fetch_add(bytes.len() as u64, Relaxed);
            // A session that has ended reads no more.
            let _ = self.heard.send(Arrival::Datagram(bytes.to_vec())).await;
        }
    }

    /// Brings a blob from `offset` on, on the second connection if the host takes one. A host that breaks off is asked
    /// again for the rest. What `is_proven` is verified as it comes.
    pub(crate) async fn blob(self, connection: Connection, (takes_bulk, is_proven): (bool, bool), wish: Wish) {
        let (hash, mut offset, mut asked) = match wish {
            Wish::New(hash, offset) => (hash, offset, None),
            Wish::Asked(Asked { hash, offset, stream }) => (hash, offset, Some(stream)),
        };
        for attempt in 0..limits::BLOB_TRIES {
            let stream = match asked.take() {
                Some(stream) => Some(stream),
                None => {
                    let bulk = if takes_bulk { self.bulk.connection(attempt > 0).await } else { None };
                    ask(bulk.as_ref().unwrap_or(&connection), hash, offset).await
                }
            };
            let tried = match stream {
                None => None,
                Some(stream) if is_proven => self.try_proven_blob(stream, hash, &mut offset).await,
                Some(stream) => self.try_blob(stream, hash, &mut offset).await,
            };
            match tried {
                Some(()) => return,
                None if connection.close_reason().is_some() => return,
                // What a host does not take early it takes as soon as it is asked again.
                None if attempt == 0 => {}
                None => tokio::time::sleep(limits::BLOB_RETRY).await,
            }
        }
        let why = "the host breaks it off again and again; ask for it later".to_owned();
        // A session that has ended reads no more.
        let _ = self.heard.send(Arrival::BlobFailed { hash, why }).await;
    }

    /// As [`Self::try_blob`]; `offset` goes on group by group.
    async fn try_proven_blob(&self, mut stream: RecvStream, hash: BlobHash, offset: &mut u64) -> Option<()> {
        let mut intake = BlobIntake::new(hash, *offset);
        while !intake.is_done() {
            let chunk = stream.read_chunk(256 << 10, true).await.ok()??;
            self.counters.blob.fetch_add(chunk.bytes.len() as u64, Relaxed);
            let parts = match intake.handle_bytes(&chunk.bytes) {
                Ok(parts) => parts,
                Err(error) => return self.blob_failed(hash, &error.to_string()).await,
            };
            // While a group is not whole the host still lives.
            let _ = self.heard.try_send(Arrival::Part);
            let total = intake.size().unwrap_or(0);
            for part in parts {
                *offset = part.offset + part.bytes.len() as u64;
                let part = Arrival::BlobPart { hash, offset: part.offset, bytes: part.bytes, total };
                if self.heard.send(part).await.is_err() {
                    return Some(());
                }
            }
        }
        if intake.size() == Some(0) {
            let _ = self.heard.send(Arrival::BlobPart { hash, offset: 0, bytes: Vec::new(), total: 0 }).await;
        }
        Some(())
    }

    /// Makes the second connection, so that it is there when something is wished for on it.
    pub(crate) async fn bulk_line(self) {
        // Whoever wishes for something tries again.
        let _ = self.bulk.connection(false).await;
    }

    /// Brings what a newcomer is told of bodies on the second connection, until it has all; not before `is_due`.
    pub(crate) async fn pieces(self, is_due: oneshot::Receiver<()>) {
        let mut left = None;
        if let Some(mut stream) = self.pieces_stream(is_due).await {
            while left != Some(0)
                && let Ok(piece) = frames::read(&mut stream, limits::JOIN_PIECE_BYTES, || {}).await
            {
                self.counters.control.fetch_add(piece.len() as u64, Relaxed);
                left = match left {
                    None => Manifest::decode(&piece).map(|manifest| manifest.cells.len()),
                    Some(left) => Some(left - 1),
                };
                if self.heard.send(Arrival::Piece(piece)).await.is_err() {
                    return;
                }
            }
        }
        if left != Some(0) {
            // A session that has ended reads no more.
            let _ = self.heard.send(Arrival::NoPieces).await;
        }
    }

    /// The stream of pieces. A connection that the host did not know whose it was has been closed: then another is made.
    async fn pieces_stream(&self, is_due: oneshot::Receiver<()>) -> Option<RecvStream> {
        let mut bulk = self.bulk.connection(false).await?;
        // Whoever would say so is gone when the session is over, and so is this task.
        let _ = is_due.await;
        for _ in 0..2 {
            if let Ok(stream) = bulk.accept_uni().await {
                return Some(stream);
            }
            bulk = self.bulk.connection(true).await?;
        }
        None
    }

    async fn blob_failed(&self, hash: BlobHash, why: &str) -> Option<()> {
        // A session that has ended reads no more.
        let _ = self.heard.send(Arrival::BlobFailed { hash, why: why.to_owned() }).await;
        Some(())
    }

    /// Some when nothing more is to be asked for: all is here, or there will be nothing.
    async fn try_blob(&self, mut stream: RecvStream, hash: BlobHash, offset: &mut u64) -> Option<()> {
        let mut total = [0; 8];
        stream.read_exact(&mut total).await.ok()?;
        let total = u64::from_le_bytes(total);
        if total == NO_BLOB || total > limits::BLOB_BYTES {
            let why = if total == NO_BLOB { BlobError::Absent } else { BlobError::TooLarge };
            return self.blob_failed(hash, &why.to_string()).await;
        }
        if total == 0 {
            let _ = self.heard.send(Arrival::BlobPart { hash, offset: 0, bytes: Vec::new(), total }).await;
        }
        while *offset < total {
            let most = usize::try_from(total - *offset).unwrap_or(usize::MAX).min(256 << 10);
            let chunk = stream.read_chunk(most, true).await.ok()??;
            let part = Arrival::BlobPart { hash, offset: *offset, bytes: chunk.bytes.to_vec(), total };
            *offset += chunk.bytes.len() as u64;
            self.counters.blob.fetch_add(chunk.bytes.len() as u64, Relaxed);
            if self.heard.send(part).await.is_err() {
                return Some(());
            }
        }
        Some(())
    }
}
