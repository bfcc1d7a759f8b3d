//! Questions for the past and their answers: which question a host works on, and how an answer travels. An answer has a
//! stream of its own below that of live telemetry, so that it delays neither what is measured now nor poses.
//!
//! What is known of the past, and how it is thinned out, is the business of the program that owns the host.

use std::sync::Mutex;

use gemba_twin::sample::Timestamp;
use quinn::{Connection, RecvStream, SendStream, VarInt, WriteError};
use thiserror::Error;
use tokio::sync::Notify;

use crate::frames::{self, FrameError, close};
use crate::limits;
use crate::telemetry::{self, DamagedBatch, TagSample};
use crate::wire::{self, Recall, RecallHead, UnreadableSpan, WireError};

/// The answer to a [`Recall`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecallAnswer {
    /// The question's number.
    pub request: u32,
    /// Beginnings and ends of the spans that history covers, in order, without overlap; of all else nothing is known.
    pub covered: Vec<(Timestamp, Timestamp)>,
    /// Whether of some tag there were more samples than these: what is here was measured, but between two of them there
    /// may have been others.
    pub is_thinned: bool,
    /// What history had and cannot be read any more; it is not covered.
    pub unreadable: Vec<UnreadableSpan>,
    /// Of each tag the sample in force at the beginning, and those after it; by tag, oldest first.
    pub samples: Vec<TagSample>,
}

/// What one peer has asked: one question is with the host program, the newest of the others waits. So a person who
/// drags the cursor costs a host no more than one question at a time, and what was worked for is delivered.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    asked: Option<u32>,
    waiting: Option<Recall>,
}

impl Questions {
    /// A question has come; returned if it is to be answered now.
    pub(crate) fn handle_asked(&mut self, recall: Recall) -> Option<Recall> {
        if self.asked.is_some() {
            self.waiting = Some(recall);
            return None;
        }
        self.asked = Some(recall.request);
        Some(recall)
    }

    /// The program has answered; returns the next question. An answer that nobody waits for changes nothing.
    pub(crate) fn handle_answered(&mut self, request: u32) -> Option<Recall> {
        self.asked.take_if(|asked| *asked == request)?;
        let next = self.waiting.take()?;
        self.asked = Some(next.request);
        Some(next)
    }
}

/// The newest answer for one peer that has not begun to be sent.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    newest: Mutex<Option<RecallAnswer>>,
    news: Notify,
}

impl Answers {
    /// Puts an answer in the place of one that still waits.
    pub(crate) fn put(&self, answer: RecallAnswer) {
        if let Ok(mut newest) = self.newest.lock() {
            *newest = Some(answer);
        }
        self.news.notify_one();
    }

    fn take(&self) -> Option<RecallAnswer> {
        self.newest.lock().ok()?.take()
    }
}

/// Sends answers until the connection ends, each on a stream of its own; a newer one cuts off what is left of an older.
pub(crate) async fn write(connection: &Connection, answers: &Answers) {
    loop {
        tokio::select! {
            () = answers.news.notified() => {}
            _ = connection.closed() => return,
        }
        while let Some(answer) = answers.take() {
            let Ok(mut stream) = connection.open_uni().await else { return };
            // Below what is measured now, above blobs.
            let _ = stream.set_priority(-5);
            tokio::select! {
                // A peer that takes no more of it has gone or has broken the protocol; its other streams tell.
                _ = write_answer(&mut stream, answer) => {}
                () = answers.news.notified() => drop(stream.reset(VarInt::from_u32(close::REPLACED))),
            }
        }
    }
}

async fn write_answer(stream: &mut SendStream, mut answer: RecallAnswer) -> Result<(), WriteError> {
    if answer.samples.len() > limits::RECALL_SAMPLES {
        tracing::error!(samples = answer.samples.len(), "an answer from the past is too large to be sent");
        answer = RecallAnswer { request: answer.request, ..RecallAnswer::default() };
    }
    let surplus = answer.covered.len().saturating_sub(limits::RECALL_SPANS);
    answer.covered.drain(..surplus);
    stream.write_all(&wire::frame(&head_of(&mut answer))).await?;
    // Within a tag the order is the host's, who knows which clocks to trust.
    answer.samples.sort_by_key(|s| s.tag);
    for batch in telemetry::batches(answer.samples) {
        let body = telemetry::encode(&batch);
        stream.write_all(&(body.len() as u32).to_le_bytes()).await?;
        stream.write_all(&body).await?;
    }
    stream.write_all(&0u32.to_le_bytes()).await?;
    // It has been reset in the meantime: then nobody waits for its end.
    let _ = stream.finish();
    Ok(())
}

/// What goes before the samples.
fn head_of(answer: &mut RecallAnswer) -> RecallHead {
    let covered = std::mem::take(&mut answer.covered);
    let mut unreadable = std::mem::take(&mut answer.unreadable);
    unreadable.truncate(limits::UNREADABLE_SPANS);
    unreadable.iter_mut().for_each(|span| span.why = wire::cut(&span.why, limits::UNREADABLE_REASON_BYTES));
    let unreadable = Some(unreadable).filter(|spans| !spans.is_empty());
    RecallHead { request: answer.request, covered, is_thinned: answer.is_thinned, unreadable }
}

/// Why no answer came.
#[derive(Debug, Error)]
pub(crate) enum RecallError {
    /// The stream ended before the last frame: a newer answer took its place, or the connection is over.
    #[error("the answer was cut off")]
    Over,
    /// A frame is no good.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Samples are no good.
    #[error(transparent)]
    Batch(#[from] DamagedBatch),
}

impl From<FrameError> for RecallError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Over => RecallError::Over,
            FrameError::Wire(error) => RecallError::Wire(error),
        }
    }
}

/// Reads a whole answer. Calls `arriving` for each part, and `counted` with the bytes of each frame.
pub(crate) async fn read(
    stream: &mut RecvStream,
    arriving: impl Fn(),
    counted: impl Fn(u64),
) -> Result<RecallAnswer, RecallError> {
    let body = frames::read(stream, limits::RECALL_HEAD_BYTES, &arriving).await?;
    counted(body.len() as u64);
    let RecallHead { request, covered, is_thinned, unreadable } = wire::decode_recall_head(&body)?;
    let unreadable = unreadable.unwrap_or_default();
    let mut samples = Vec::new();
    loop {
        let body = frames::read(stream, limits::BATCH_BYTES, &arriving).await?;
        if body.is_empty() {
            return Ok(RecallAnswer { request, covered, is_thinned, unreadable, samples });
        }
        counted(body.len() as u64);
        samples.extend(telemetry::decode(&body)?);
        if samples.len() > limits::RECALL_SAMPLES {
            return Err(WireError::TooLarge.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recall(request: u32) -> Recall {
        Recall { request, tags: None, from: Timestamp(0), to: Timestamp(0), points: 0 }
    }

    #[test]
    fn while_one_question_is_worked_on_only_the_newest_other_one_waits() {
        let mut questions = Questions::default();
        assert_eq!(questions.handle_asked(recall(1)), Some(recall(1)));
        assert_eq!(questions.handle_asked(recall(2)), None);
        assert_eq!(questions.handle_asked(recall(3)), None);
        assert_eq!(questions.handle_answered(9), None, "an answer to nothing");
        assert_eq!(questions.handle_answered(1), Some(recall(3)));
        assert_eq!(questions.handle_answered(1), None, "answered twice");
        assert_eq!(questions.handle_answered(3), None);
        assert_eq!(questions.handle_asked(recall(4)), Some(recall(4)));
    }
}
