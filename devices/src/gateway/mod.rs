//! The gateway: an OPC UA client that knows nothing of a plant but the endpoint of its server. It browses, subscribes
//! to every variable it finds, turns notifications into samples, and passes commands on.
//!
//! [`spawn`] starts it on the current tokio runtime. It tells what it learns as [`GatewayEvent`]s through a bounded
//! channel and survives its server: when the connection is lost every tag turns bad at once, and it connects, browses
//! and subscribes again by itself, with growing pauses.
//!
//! Deciding is apart from doing: [`discovery`] turns what was browsed and read into tags, [`sample`] turns OPC UA values
//! into samples and back, [`inbox`] bounds what waits; none of them touches a socket. `browse` and `link` do.
//!
//! Absent: security policies and user names (it connects without encryption and anonymously), arrays and structures as
//! values, events and methods, history.

mod browse;
pub mod discovery;
pub mod inbox;
mod link;
mod run;
pub mod sample;

use std::time::Duration;

use gemba_twin::path::TagPath;
use gemba_twin::sample::{Sample, Value};
use gemba_twin::tag::Tag;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::limits;

/// How to reach a server and how often to hear of it.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewayConfig {
    /// Where the server is: `opc.tcp://host:port/path`.
    pub endpoint: String,
    /// How often the server sends what has changed.
    pub publishing_interval: Duration,
    /// How often the server looks at each value; zero for as fast as it can.
    pub sampling_interval: Duration,
    /// Longest wait for any one answer of the server.
    pub answer_timeout: Duration,
    /// A server from which nothing at all comes for this long counts as lost. It is asked to send a sign of life four
    /// times in this span.
    pub silence_limit: Duration,
    /// Pause before the first attempt to connect again; every failure doubles it.
    pub retry_first: Duration,
    /// Longest pause between two attempts.
    pub retry_longest: Duration,
}

impl GatewayConfig {
    /// What suits a plant on the same network: 50 ms publishing, lost after 3 s of silence.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            publishing_interval: Duration::from_millis(50),
            sampling_interval: Duration::ZERO,
            answer_timeout: Duration::from_secs(10),
            silence_limit: Duration::from_secs(3),
            retry_first: Duration::from_millis(200),
            retry_longest: Duration::from_secs(5),
        }
    }
}

/// What a gateway tells. After [`Connected`](Self::Connected) come [`Tags`](Self::Tags) and then samples; after
/// [`Lost`](Self::Lost) come bad samples of all tags told last, and the round begins again by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum GatewayEvent {
    /// The server answered.
    Connected,
    /// All tags the server has, anew after every connect. Samples name a tag by its place in this list.
    Tags(Vec<Tag>),
    /// What was measured since the last batch, in order of arrival: the tag's place in the last list, and the sample.
    Samples(Vec<(usize, Sample)>),
    /// The server cannot be reached, or no longer. Told once for each different reason until it can.
    Lost {
        /// What happened, in words for a person.
        why: String,
    },
}

/// Why a command was not carried out, or a connection not made.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum GatewayError {
    /// There is no connection to the server.
    #[error("no connection to the OPC UA server")]
    NotConnected,
    /// The server has no such tag.
    #[error("the OPC UA server has no tag {0}")]
    UnknownTag(TagPath),
    /// The tag takes no commands.
    #[error("{0} takes no commands")]
    ReadOnly(TagPath),
    /// The value is not of the tag's type.
    #[error("{path} does not take the value {value}")]
    WrongKind {
        /// The tag.
        path: TagPath,
        /// What it was told to become.
        value: Value,
    },
    /// The server answered with a refusal.
    #[error("the OPC UA server refused {what}: {status}")]
    Refused {
        /// What was asked of it.
        what: String,
        /// Name of its status code.
        status: String,
    },
    /// The server cannot be reached.
    #[error("cannot reach the OPC UA server at {endpoint}: {why}")]
    Unreachable {
        /// Where it should be.
        endpoint: String,
        /// What happened.
        why: String,
    },
    /// The connection broke.
    #[error("lost the OPC UA server: {0}")]
    Lost(String),
}

/// A command on its way to the server, with where the answer goes.
struct Command {
    path: TagPath,
    value: Value,
    answer: oneshot::Sender<Result<(), GatewayError>>,
}

/// A running gateway. Dropping it stops it.
#[derive(Debug)]
pub struct Gateway {
    events: mpsc::Receiver<GatewayEvent>,
    writer: Writer,
}

impl Gateway {
    /// The next event; none when the gateway has stopped. Safe to use in `tokio::select!`.
    pub async fn next(&mut self) -> Option<GatewayEvent> {
        self.events.recv().await
    }

    /// A handle that sends commands; it may be cloned and outlive this.
    pub fn writer(&self) -> Writer {
        self.writer.clone()
    }

    /// See [`Writer::write`].
    pub async fn write(&self, path: TagPath, value: Value) -> Result<(), GatewayError> {
        self.writer.write(path, value).await
    }
}

/// Sends commands through a gateway.
#[derive(Debug, Clone)]
pub struct Writer {
    commands: mpsc::Sender<Command>,
}

impl Writer {
    /// Tells the device that `path` shall become `value`, and waits for its answer. Good means that the server took the
    /// command; that it had its effect is seen in the tag's samples.
    pub async fn write(&self, path: TagPath, value: Value) -> Result<(), GatewayError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command { path, value, answer }).await.map_err(|_| GatewayError::NotConnected)?;
        answered.await.map_err(|_| GatewayError::NotConnected)?
    }
}

/// Starts a gateway on the current tokio runtime. It never gives up on its server; what keeps it from connecting is told
/// as [`GatewayEvent::Lost`].
pub fn spawn(config: GatewayConfig) -> Gateway {
    let (event_sender, events) = mpsc::channel(limits::WAITING_EVENTS);
    let (command_sender, commands) = mpsc::channel(limits::WAITING_COMMANDS);
    tokio::spawn(run::run(config, event_sender, commands));
    Gateway { events, writer: Writer { commands: command_sender } }
}
