//! Carries out what people command through the gateway, and brings back what became of it.
//!
//! A command stands in the record before anything is done, and its outcome after; the sequencer ([`crate::sequencer`])
//! says which are to be carried out. After a crash between the two it is carried out once more: a command sets a value,
//! so that twice is the same as once. While the device cannot be reached it is tried again until its time is over.

use std::time::Duration;

use gemba_devices::gateway::{GatewayError, Writer};
use gemba_record::command::{Command, Outcome};
use gemba_record::entry::EntryId;
use gemba_twin::sample::Timestamp;
use tokio::sync::mpsc;

use crate::clock;
use crate::limits;

/// Between two tries to reach a device that is away.
const RETRY: Duration = Duration::from_millis(250);

/// A command that is to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Id of its entry.
    pub id: EntryId,
    /// What is to be done.
    pub command: Command,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Carried {
    /// Id of its entry.
    pub id: EntryId,
    /// What became of it.
    pub outcome: Outcome,
}

/// Carries out one order and tells what became of it. When nobody listens any more the host is going; the next one finds
/// the command without an outcome and carries it out again.
pub async fn carry_out(order: Order, writer: Writer, carried: mpsc::Sender<Carried>) {
    let Order { id, command } = order;
    let outcome = loop {
        if let Some(outcome) = before(&command, clock::now()) {
            break outcome;
        }
        match writer.write(command.tag.clone(), command.value.clone()).await {
            Err(GatewayError::NotConnected | GatewayError::Lost(_)) => tokio::time::sleep(RETRY).await,
            other => break after(other),
        }
    };
    let _ = carried.send(Carried { id, outcome }).await;
}

/// What becomes of a command without trying.
fn before(command: &Command, now: Timestamp) -> Option<Outcome> {
    (now > command.until).then_some(Outcome::Expired)
}

/// What the device's answer means.
fn after(answer: Result<(), GatewayError>) -> Outcome {
    match answer {
        Ok(()) => Outcome::Done,
        Err(why) => {
            let why = why.to_string();
            let end = why.floor_char_boundary(limits::OUTCOME_BYTES);
            Outcome::Failed(why[..end].to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_twin::sample::Value;

    #[test]
    fn a_command_is_not_tried_after_its_time() {
        let tag = "Hall1/Valve1/Position".parse().unwrap();
        let command = Command { tag, value: Value::Float(1.0), until: Timestamp(10) };
        assert_eq!(before(&command, Timestamp(10)), None);
        assert_eq!(before(&command, Timestamp(11)), Some(Outcome::Expired));
    }

    #[test]
    fn a_refusal_is_told_in_words_that_the_record_takes() {
        let status = "ä".repeat(9000);
        let refused = GatewayError::Refused { what: "a write".to_owned(), status };
        let Outcome::Failed(why) = after(Err(refused)) else { panic!("it was refused") };
        assert!(!why.is_empty() && why.len() <= gemba_record::limits::NOTE_BYTES);
        assert_eq!(after(Ok(())), Outcome::Done);
    }
}
