//! Takes in what the link has brought since the last frame.

use std::time::{SystemTime, UNIX_EPOCH};

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use gemba_net::{BodyTold, LinkEvent, LinkState};
use gemba_record::site::Site as Fold;
use gemba_twin::path::ThingId;
use gemba_twin::sample::Timestamp;

use super::{Answered, BlobArrived, Connection, Landed};
use crate::bodies::{self, Bodies, BodyRefused};
use crate::cursor::Cursor;
use crate::past::{InstantShared, Past, PastNews};
use crate::people::People;
use crate::playing::Playing;
use crate::problems::Problems;
use crate::readings::Readings;
use crate::site::Site;

/// Events taken in a frame: a flood must not stop the picture. What is left waits in the link's bounded queue.
const EVENTS_PER_FRAME: usize = 4096;

/// Our clock, which nothing trusts but through the offset to the host's.
pub(super) fn our_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// What the others do, and the clock by which that is shown.
#[derive(SystemParam)]
pub(crate) struct Others<'w> {
    people: ResMut<'w, People>,
    bodies: ResMut<'w, Bodies>,
    playing: ResMut<'w, Playing>,
    refused: MessageWriter<'w, BodyRefused>,
    time: Res<'w, Time<Real>>,
}

impl Others<'_> {
    fn tick(&mut self, when: Timestamp, moves: bool) -> u32 {
        bodies::tick_of(&mut self.playing, &self.time, when, moves)
    }

    /// Takes what the others do; returns what is something else.
    fn take(&mut self, event: LinkEvent) -> Option<LinkEvent> {
        match event {
            LinkEvent::Joined(info) => self.people.join(info),
            LinkEvent::Left(peer) => drop(self.people.0.remove(&peer.0)),
            LinkEvent::Selected { peer, thing } => {
                if let Some(person) = self.people.0.get_mut(&peer.0) {
                    person.selected = thing;
                }
            }
            LinkEvent::Pose { peer, pose, at, rests } => {
                let tick = self.tick(at, !rests);
                self.people.moved(peer, pose, at, (tick, rests));
            }
            LinkEvent::Fingers { peer, number, hands } => {
                if let Some(person) = self.people.0.get_mut(&peer.0) {
                    person.fingers.hear(number, hands, self.time.elapsed());
                }
            }
            LinkEvent::Bodies(told) => {
                for BodyTold { thing, holder, at, when, is_lost } in told {
                    let tick = self.tick(when, false);
                    self.bodies.handle_body(thing, holder, &at, tick);
                    if is_lost {
                        self.refuse(thing, "the host has not heard of you for a while".to_owned());
                    }
                }
            }
            LinkEvent::BodyMoved { thing, at, when, rests } => {
                let tick = self.tick(when, !rests);
                self.bodies.handle_moved(thing, &at, tick, rests);
            }
            LinkEvent::GrabRefused { thing, why } => self.refuse(thing, why),
            LinkEvent::BodyGone { thing } => self.bodies.handle_gone(thing),
            // It is in hand already as it is seen here; and the viewer has no loudspeaker.
            LinkEvent::Grabbed { .. } | LinkEvent::Voice(_) => {}
            other => return Some(other),
        }
        None
    }

    fn refuse(&mut self, thing: ThingId, why: String) {
        self.bodies.handle_refused(thing);
        self.refused.write(BodyRefused { thing, why });
    }
}

pub(crate) fn receive(
    mut connection: ResMut<Connection>,
    mut site: ResMut<Site>,
    mut readings: ResMut<Readings>,
    mut others: Others,
    mut problems: ResMut<Problems>,
    mut blobs: MessageWriter<BlobArrived>,
    mut past: MessageWriter<PastNews>,
    mut shared: MessageWriter<InstantShared>,
    mut answered: MessageWriter<Answered>,
    mut landed: MessageWriter<Landed>,
    cursor: Res<Cursor>,
    shown: Res<Past>,
) {
    let connection = &mut *connection;
    readings.set_live_now(our_clock().plus_micros(connection.clock_offset_micros));
    for _ in 0..EVENTS_PER_FRAME {
        let Some(event) = connection.link.as_mut().and_then(|link| link.poll()) else { break };
        let Some(event) = others.take(event) else { continue };
        match event {
            LinkEvent::State(state) => connection.change(state, &mut readings, &mut others.people, &mut problems),
            LinkEvent::Welcome { me, site: name, entries } => {
                connection.me = Some(me);
                connection.entries_expected = entries;
                connection.was_connected = true;
                connection.settling = true;
                others.bodies.restart();
                site.name = name;
            }
            LinkEvent::Entries { first, entries } => connection.take_entries(first, entries, &mut problems),
            LinkEvent::Answer { submission, outcome, overruled } => {
                answered.write(Answered { submission, outcome, overruled });
            }
            LinkEvent::Samples(samples) => {
                samples.into_iter().for_each(|s| readings.apply(s.tag, s.sample));
                if std::mem::take(&mut connection.settling) {
                    // The first batch is what the host held for newcomers, of whatever age.
                    readings.forget_ages();
                }
            }
            LinkEvent::Windows(windows) => windows.into_iter().for_each(|window| readings.apply_window(window)),
            LinkEvent::Clock { offset_micros, rtt } => {
                connection.clock_offset_micros = offset_micros;
                connection.rtt = rtt;
                readings.set_live_now(our_clock().plus_micros(offset_micros));
            }
            // A viewer stands by for nobody.
            LinkEvent::StandsBy { .. } => {}
            LinkEvent::History { from, to } => drop(past.write(PastNews::History(from, to))),
            LinkEvent::Recalled(answer) => drop(past.write(PastNews::Answer(answer))),
            LinkEvent::InstantShared { peer, instant } => drop(shared.write(InstantShared { peer, instant })),
            LinkEvent::BlobProgress { hash, have, total, bytes } => {
                blobs.write(BlobArrived::Part { hash, have, total, bytes });
            }
            LinkEvent::BlobDone { hash, bytes } => {
                blobs.write(BlobArrived::Whole { hash, bytes });
            }
            LinkEvent::BlobFailed { hash, why } => {
                blobs.write(BlobArrived::Failed { hash, why });
            }
            // What the others do has been taken already.
            _ => {}
        }
    }
    landed.write_batch(connection.landed.drain(..));
    // The plant is shown as of the instant whose values are shown, which may lag behind the cursor.
    let instant = cursor.instant().map(|instant| shown.shown().unwrap_or(instant));
    let wanted = instant.map_or(connection.log.entries(), |instant| connection.entries_at(instant));
    if std::mem::take(&mut connection.fold_changed) || connection.entries_shown != wanted {
        connection.show_fold(wanted, &mut site);
    }
}

impl Connection {
    fn change(&mut self, state: LinkState, readings: &mut Readings, people: &mut People, problems: &mut Problems) {
        readings.set_lost(!matches!(state, LinkState::Connected));
        match &state {
            LinkState::Lost { why, .. } => {
                info!("lost the host: {why}");
                people.0.clear();
            }
            LinkState::Refused { why } => problems.note(why.clone()),
            LinkState::Connecting { .. } | LinkState::Connected => {}
        }
        self.state = Some(state);
    }

    /// Folds entries, each verified as if the host were a liar.
    fn take_entries(&mut self, first: u64, entries: Vec<Vec<u8>>, problems: &mut Problems) {
        if self.broken {
            return;
        }
        for (index, entry) in (first..).zip(entries) {
            let next = self.log.entries();
            if index < next {
                continue;
            }
            let appended =
                if index == next { self.append(entry) } else { Err(format!("entries {next} to {index} are missing")) };
            if let Err(why) = appended {
                self.broken = true;
                problems.note(format!("the site's record is broken at entry {index}: {why}"));
                return;
            }
            self.fold_changed = true;
        }
        if let Err(why) = self.check_host() {
            self.broken = true;
            problems.note(why);
        }
    }

    /// Whether all that the host had when it welcomed us says that it is the host.
    fn check_host(&self) -> Result<(), String> {
        let connected = self.link.as_ref().and_then(|link| link.host()).map(|host| host.key).or(self.expected_host);
        // By a key that the host has had before we come to it, and then come again by the one in force.
        let is_its_host = |site: &Fold| connected.is_none_or(|key| site.is_or_was_host_key(&key));
        match self.log.site() {
            Some(site) if self.log.entries() >= self.entries_expected && !is_its_host(site) => Err(format!(
                "the site's record belongs to the host {}, not to the one we are connected to",
                site.host().short()
            )),
            _ => Ok(()),
        }
    }

    fn append(&mut self, entry: Vec<u8>) -> Result<(), String> {
        let own = self.own_before(&entry);
        self.log.append(entry.clone()).map_err(|e| e.to_string())?;
        self.kept.keep(&entry, self.log.site().map(|site| site.time()).unwrap_or_default());
        self.landed.extend(own);
        Ok(())
    }

    /// Shows the plant as the first `entries` of the record made it.
    fn show_fold(&mut self, entries: u64, site: &mut Site) {
        self.entries_shown = entries;
        let earlier = if entries < self.log.entries() { self.kept.fold(entries) } else { None };
        self.earlier = earlier;
        if let Some(fold) = self.fold() {
            site.follow(fold);
        }
    }
}
