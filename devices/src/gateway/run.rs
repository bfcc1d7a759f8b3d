//! The gateway's life: connect, browse, subscribe, pass samples and commands on, and begin again when the server is lost.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use gemba_twin::path::TagPath;
use gemba_twin::sample::{Quality, Sample};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::discovery::{BoundTag, discovery_from_variables};
use super::link::{Arrivals, Link, Pulse, now};
use super::sample::variant_from_value;
use super::{Command, GatewayConfig, GatewayError, GatewayEvent, browse};
use crate::limits::WAITING_SAMPLES;

/// How one connection ended.
enum End {
    /// Nobody listens to this gateway any more.
    Unwanted,
    /// The server is lost or was never reached.
    Lost { error: GatewayError, was_connected: bool },
}

/// Runs a gateway until its [`super::Gateway`] is dropped.
pub(super) async fn run(config: GatewayConfig, events: mpsc::Sender<GatewayEvent>, commands: mpsc::Receiver<Command>) {
    let pki = match tempfile::Builder::new().prefix("gemba-gateway-").tempdir() {
        Ok(folder) => folder,
        Err(e) => {
            let why = format!("cannot make a temporary folder: {e}");
            let _ = events.send(GatewayEvent::Lost { why }).await;
            return;
        }
    };
    let mut life = Life { config, events, commands, announced: 0, told: String::new() };
    let mut pause = life.config.retry_first;
    loop {
        let End::Lost { error, was_connected } = life.connection(pki.path()).await else { return };
        if was_connected {
            pause = life.config.retry_first;
        }
        if life.tell_lost(error.to_string()).await.is_none() || life.rest(pause).await.is_none() {
            return;
        }
        pause = (pause * 2).min(life.config.retry_longest);
    }
}

struct Life {
    config: GatewayConfig,
    events: mpsc::Sender<GatewayEvent>,
    commands: mpsc::Receiver<Command>,
    /// Tags in the list told last whose samples are not known to be bad.
    announced: usize,
    /// The last reason told for a loss; empty while connected.
    told: String,
}

impl Life {
    /// None when nobody listens any more.
    async fn tell(&self, event: GatewayEvent) -> Option<()> {
        self.events.send(event).await.ok()
    }

    async fn connection(&mut self, pki: &Path) -> End {
        let link = tokio::select! {
            link = Link::connect(&self.config, pki) => link,
            () = self.events.closed() => return End::Unwanted,
        };
        let link = match link {
            Ok(link) => link,
            Err(error) => return End::Lost { error, was_connected: false },
        };
        self.told.clear();
        match self.use_link(&link).await {
            Err(error) => End::Lost { error, was_connected: true },
            Ok(()) => {
                link.close().await;
                End::Unwanted
            }
        }
    }

    /// Ends well when nobody listens any more.
    async fn use_link(&mut self, link: &Link) -> Result<(), GatewayError> {
        if self.tell(GatewayEvent::Connected).await.is_none() {
            return Ok(());
        }
        let found = discovery_from_variables(browse::variables(&link.session).await?);
        if let Some(example) = found.left_out.first() {
            tracing::warn!(count = found.left_out.len(), example, "variables of the OPC UA server left out");
        }
        let tags = found.tags;
        self.announced = tags.len();
        if self.tell(GatewayEvent::Tags(tags.iter().map(|bound| bound.tag.clone()).collect())).await.is_none() {
            return Ok(());
        }
        let arrivals = Arrivals::new(WAITING_SAMPLES);
        let refused = link.subscribe(&self.config, &tags, &arrivals).await?;
        if let Some((place, status)) = refused.first() {
            tracing::warn!(count = refused.len(), example = %tags[*place].tag.path, %status, "tags not subscribed");
            arrivals.with(|inbox| refused.iter().for_each(|(place, _)| inbox.push(*place, bad_sample())));
        }
        self.pass_on(link, &tags, &arrivals).await
    }

    async fn pass_on(&mut self, link: &Link, tags: &[BoundTag], arrivals: &Arrivals) -> Result<(), GatewayError> {
        let places: HashMap<&TagPath, &BoundTag> = tags.iter().map(|bound| (&bound.tag.path, bound)).collect();
        let mut pulse = link.pulse.clone();
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                () = arrivals.arrived() => {
                    let (samples, dropped) = arrivals.with(|inbox| (inbox.take(), inbox.take_dropped()));
                    if dropped > 0 {
                        tracing::warn!(dropped, "samples given up: the gateway's reader is too slow");
                    }
                    if !samples.is_empty() && self.tell(GatewayEvent::Samples(samples)).await.is_none() {
                        return Ok(());
                    }
                }
                changed = pulse.changed() => match (changed, pulse.borrow_and_update().clone()) {
                    (Ok(()), Pulse::Heard(at)) => heard = at,
                    (Ok(()), Pulse::Gone(why)) => return Err(GatewayError::Lost(why)),
                    (Err(_), _) => return Err(GatewayError::Lost("the session ended".into())),
                },
                () = sleep_until(heard + self.config.silence_limit) => {
                    let secs = self.config.silence_limit.as_secs_f64();
                    return Err(GatewayError::Lost(format!("nothing heard for {secs} s")));
                }
                command = self.commands.recv() => match command {
                    Some(command) => {
                        let done = carry_out(link, &places, &command).await;
                        let _ = command.answer.send(done);
                    }
                    None => return Ok(()),
                },
                () = self.events.closed() => return Ok(()),
            }
        }
    }

    async fn tell_lost(&mut self, why: String) -> Option<()> {
        if self.told != why {
            self.tell(GatewayEvent::Lost { why: why.clone() }).await?;
            self.told = why;
        }
        if self.announced > 0 {
            let bad = (0..self.announced).map(|place| (place, bad_sample())).collect();
            self.tell(GatewayEvent::Samples(bad)).await?;
            self.announced = 0;
        }
        Some(())
    }

    /// Waits before the next attempt; commands meanwhile are refused. None when nobody listens any more.
    async fn rest(&mut self, pause: Duration) -> Option<()> {
        let pause = sleep(pause);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return Some(()),
                () = self.events.closed() => return None,
                command = self.commands.recv() => {
                    let _ = command?.answer.send(Err(GatewayError::NotConnected));
                }
            }
        }
    }
}

fn bad_sample() -> Sample {
    let now = now();
    Sample { value: None, quality: Quality::Bad, source_time: now, server_time: now }
}

async fn carry_out(link: &Link, places: &HashMap<&TagPath, &BoundTag>, command: &Command) -> Result<(), GatewayError> {
    let path = &command.path;
    let bound = places.get(path).ok_or_else(|| GatewayError::UnknownTag(path.clone()))?;
    if !bound.tag.writable {
        return Err(GatewayError::ReadOnly(path.clone()));
    }
    let value = variant_from_value(&command.value, &bound.data_type)
        .ok_or_else(|| GatewayError::WrongKind { path: path.clone(), value: command.value.clone() })?;
    link.write(bound, value).await
}
