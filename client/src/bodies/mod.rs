//! Bodies: boxes, pallets and parts that people take in hand, carry and put down. Whoever holds one sees it at once where
//! they carry it; the others see it a little later, led from place to place. Where things lie comes from the host.
//!
//! Any hand carries by three messages: [`GrabBody`], [`MoveBody`] each frame, [`ReleaseBody`]; [`Bodies::in_hand`] says
//! whether this person still has it (the host may say no, and then [`BodyRefused`] says why). The mouse is such a hand
//! (`drag`). The mirror draws bodies where [`Bodies::shown`] says; what is carried is told by [`crate::link`].

use std::collections::BTreeMap;

use bevy::prelude::*;
use gemba_net::body::{Body as Told, BodyNumber, Epoch, Heard, Placement, Playback};
use gemba_net::{PeerNumber, TrackedPoint};
use gemba_twin::path::ThingId;
use gemba_twin::sample::Timestamp;

use crate::cursor::Cursor;
use crate::playing::{Playing, TICKS};
use crate::schedule::Frame;
use crate::site::{Site, ThingIndex};
use crate::toasts::Toast;

mod drag;

pub(crate) use drag::carried_by_hand;

/// Takes a thing in hand, from where it is drawn now: a pose in the world frame, metres.
#[derive(Message, Debug, Clone, Copy)]
pub struct GrabBody {
    /// Which.
    pub thing: ThingIndex,
    /// Where it is.
    pub from: Isometry3d,
}

/// Carries what is in hand.
#[derive(Message, Debug, Clone, Copy)]
pub struct MoveBody {
    /// Which.
    pub thing: ThingIndex,
    /// Where to, world frame.
    pub to: Isometry3d,
}

/// Lets go; it stays where it was carried last.
#[derive(Message, Debug, Clone, Copy)]
pub struct ReleaseBody {
    /// Which.
    pub thing: ThingIndex,
}

/// This person does not get what they wanted to hold, or holds it no more.
#[derive(Message, Debug, Clone)]
pub struct BodyRefused {
    /// Which.
    pub thing: ThingId,
    /// Why, for a person.
    pub why: String,
}

/// What this person does with a body, to be told to the host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Deed {
    /// Takes it in hand.
    Grab(ThingId, TrackedPoint),
    /// Carries it on.
    Move(ThingId, TrackedPoint),
    /// Lets it go.
    Release(ThingId, TrackedPoint),
}

/// A thing that is or was carried.
#[derive(Debug, Clone, Default)]
struct Body {
    playback: Playback,
    holder: Option<PeerNumber>,
    own: Option<Own>,
}

/// Where this person has it.
#[derive(Debug, Clone, Copy)]
struct Own {
    at: Isometry3d,
    /// Whether it was let go, and the host has not yet said so.
    is_over: bool,
}

/// All bodies. The link writes what the host says, this feature what this person does.
#[derive(Resource, Default)]
pub struct Bodies {
    bodies: BTreeMap<ThingId, Body>,
    deeds: Vec<Deed>,
}

impl Bodies {
    /// Whether this person has the thing in hand.
    pub fn in_hand(&self, thing: ThingId) -> bool {
        self.bodies.get(&thing).and_then(|body| body.own).is_some_and(|own| !own.is_over)
    }

    /// Whether it is carried, or was.
    pub fn knows(&self, thing: ThingId) -> bool {
        self.bodies.contains_key(&thing)
    }

    /// Who else holds it.
    pub fn holder(&self, thing: ThingId) -> Option<PeerNumber> {
        self.bodies.get(&thing)?.holder
    }

    /// Where each is shown at a tick of [`Playing`], world frame.
    pub fn shown(&self, tick: Option<f64>) -> impl Iterator<Item = (ThingId, Isometry3d)> {
        self.bodies.iter().filter_map(move |(thing, body)| {
            let heard = || body.playback.behind(tick.unwrap_or(f64::MAX), TICKS).map(|at| isometry_of(&at));
            Some((*thing, body.own.map(|own| own.at).or_else(heard)?))
        })
    }

    /// What this person has done since this was last asked, to be told to the host.
    pub fn take_deeds(&mut self) -> Vec<Deed> {
        std::mem::take(&mut self.deeds)
    }

    /// Gives back what could not be told.
    pub fn give_back(&mut self, deeds: Vec<Deed>) {
        self.deeds.splice(0..0, deeds);
    }

    /// A body has changed hands, or is told to a newcomer.
    pub fn handle_body(&mut self, thing: ThingId, holder: Option<PeerNumber>, at: &TrackedPoint, tick: u32) {
        let body = self.bodies.entry(thing).or_default();
        body.holder = holder;
        if body.own.take_if(|own| own.is_over && holder.is_none()).is_some() {
            // What comes back of the own motion was seen already.
            body.playback = Playback::default();
        }
        body.playback.handle_heard(&heard(at, tick, holder.is_none()));
    }

    /// A body has been carried on.
    pub fn handle_moved(&mut self, thing: ThingId, at: &TrackedPoint, tick: u32, rests: bool) {
        let body = self.bodies.entry(thing).or_default();
        body.playback.handle_heard(&heard(at, tick, rests));
    }

    /// This person does not hold it, whatever they thought.
    pub fn handle_refused(&mut self, thing: ThingId) {
        if let Some(body) = self.bodies.get_mut(&thing) {
            body.own = None;
        }
        // Of what nobody has carried yet the host knows nothing: it is where the record says.
        self.bodies.retain(|_, body| body.own.is_some() || !body.playback.is_empty());
    }

    /// The record says where it is.
    pub fn handle_gone(&mut self, thing: ThingId) {
        self.bodies.remove(&thing);
    }

    /// Another session: the host tells anew what lies where. What is in hand stays there.
    pub fn restart(&mut self) {
        self.bodies.retain(|_, body| body.own.is_some_and(|own| !own.is_over));
        self.bodies.values_mut().for_each(|body| (body.playback, body.holder) = (Playback::default(), None));
    }

    fn grab(&mut self, thing: ThingId, from: Isometry3d) {
        self.bodies.entry(thing).or_default().own = Some(Own { at: from, is_over: false });
        self.deeds.push(Deed::Grab(thing, point_of(from)));
    }

    fn carry(&mut self, thing: ThingId, to: Isometry3d) {
        let Some(own) = self.bodies.get_mut(&thing).and_then(|body| body.own.as_mut()).filter(|own| !own.is_over)
        else {
            return;
        };
        if own.at != to {
            own.at = to;
            self.deeds.push(Deed::Move(thing, point_of(to)));
        }
    }

    fn release(&mut self, thing: ThingId) {
        let Some(own) = self.bodies.get_mut(&thing).and_then(|body| body.own.as_mut()).filter(|own| !own.is_over)
        else {
            return;
        };
        own.is_over = true;
        let at = point_of(own.at);
        self.deeds.push(Deed::Release(thing, at));
    }
}

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Bodies>()
        .add_message::<GrabBody>()
        .add_message::<MoveBody>()
        .add_message::<ReleaseBody>()
        .add_message::<BodyRefused>()
        .add_plugins(drag::plugin)
        .add_systems(Update, (take.in_set(Frame::Edit), complain.in_set(Frame::Present)));
}

/// Does what hands ask for.
fn take(
    mut bodies: ResMut<Bodies>,
    mut grabs: MessageReader<GrabBody>,
    mut moves: MessageReader<MoveBody>,
    mut releases: MessageReader<ReleaseBody>,
    site: Res<Site>,
    cursor: Res<Cursor>,
) {
    let may = |thing: ThingIndex| {
        // What is not shown as it is now cannot be taken in hand now.
        *cursor == Cursor::Live && site.thing(thing).is_some_and(|t| t.is_carried_by_hand())
    };
    let id = |thing: ThingIndex| site.standing(thing).map(|standing| standing.id);
    for GrabBody { thing, from } in grabs.read() {
        if let Some(thing) = id(*thing).filter(|_| may(*thing)) {
            bodies.grab(thing, *from);
        }
    }
    for MoveBody { thing, to } in moves.read() {
        if let Some(thing) = id(*thing) {
            bodies.carry(thing, *to);
        }
    }
    for ReleaseBody { thing } in releases.read() {
        if let Some(thing) = id(*thing) {
            bodies.release(thing);
        }
    }
}

/// Says why a thing is not in hand.
fn complain(mut refused: MessageReader<BodyRefused>, mut toasts: MessageWriter<Toast>, site: Res<Site>) {
    for BodyRefused { thing, why } in refused.read() {
        let name = site.find_id(*thing).and_then(|thing| site.thing(thing)).map(|t| t.path.name().to_owned());
        let name = name.unwrap_or_else(|| "That".to_owned());
        toasts.write(Toast::failure(format!("{name} is not in your hand: {why}")));
    }
}

/// A pose that was heard, for a playback.
pub(crate) fn heard(at: &TrackedPoint, tick: u32, rests: bool) -> Heard {
    let rotation = at.rotation.map(f64::from);
    let at = Placement { place: at.place.map(f64::from), rotation };
    Heard { number: BodyNumber(0), tick, body: Told { epoch: Epoch(0), at, resting: rests } }
}

/// As the network tells a pose.
pub fn point_of(at: Isometry3d) -> TrackedPoint {
    TrackedPoint { place: at.translation.to_array(), rotation: at.rotation.to_array() }
}

fn isometry_of(at: &Placement) -> Isometry3d {
    let [x, y, z] = at.place.map(|c| c as f32);
    Isometry3d::new(Vec3::new(x, y, z), Quat::from_array(at.rotation.map(|c| c as f32)).normalize())
}

/// The instant of a word as a tick, and the clock told if it tells a motion: what rests may have been said long after.
pub(crate) fn tick_of(playing: &mut Playing, time: &Time<Real>, when: Timestamp, moves: bool) -> u32 {
    if moves {
        // A frame's own time is that of its beginning, or older where drawing goes on beside it: a word would seem to
        // have come before it was said, and everyone would be shown too early for as long as that is believed.
        let now = time.first_update().map_or(time.elapsed(), |first| first.elapsed().max(time.elapsed()));
        playing.handle_motion(now, when);
    }
    playing.tick_of(when)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRATE: ThingId = ThingId([7; 16]);

    fn at(x: f32) -> Isometry3d {
        Isometry3d::from_translation(Vec3::X * x)
    }

    fn seen(bodies: &Bodies, tick: f64) -> Option<f32> {
        bodies.shown(Some(tick)).next().map(|(_, at)| at.translation.x)
    }

    #[test]
    fn the_own_hand_is_seen_at_once_and_what_comes_back_of_it_moves_nothing() {
        let mut bodies = Bodies::default();
        bodies.grab(CRATE, at(0.0));
        bodies.carry(CRATE, at(1.0));
        bodies.handle_moved(CRATE, &point_of(at(0.5)), 100, false);
        assert_eq!((seen(&bodies, 90.0), bodies.in_hand(CRATE)), (Some(1.0), true));
        bodies.carry(CRATE, at(2.0));
        bodies.release(CRATE);
        bodies.handle_moved(CRATE, &point_of(at(1.5)), 130, false);
        assert_eq!(seen(&bodies, 120.0), Some(2.0), "until the host says where it lies");
        bodies.handle_body(CRATE, None, &point_of(at(2.0)), 160);
        assert_eq!((seen(&bodies, 130.0), bodies.in_hand(CRATE)), (Some(2.0), false), "it does not run back");
        let told: Vec<_> = bodies.take_deeds();
        assert!(matches!(told[..], [Deed::Grab(..), Deed::Move(..), Deed::Move(..), Deed::Release(..)]), "{told:?}");
    }

    #[test]
    fn what_is_not_ours_goes_back_to_where_the_host_has_it_or_to_the_record() {
        let mut bodies = Bodies::default();
        bodies.grab(CRATE, at(5.0));
        bodies.handle_refused(CRATE);
        assert_eq!(seen(&bodies, 0.0), None);
        bodies.handle_body(CRATE, Some(PeerNumber(3)), &point_of(at(1.0)), 10);
        bodies.grab(CRATE, at(1.0));
        bodies.carry(CRATE, at(7.0));
        bodies.handle_refused(CRATE);
        assert_eq!((seen(&bodies, 10.0), bodies.holder(CRATE)), (Some(1.0), Some(PeerNumber(3))));
        bodies.handle_gone(CRATE);
        assert_eq!(seen(&bodies, 10.0), None);
    }

    #[test]
    fn another_session_forgets_what_lay_and_keeps_what_is_in_hand() {
        let mut bodies = Bodies::default();
        bodies.handle_body(ThingId([1; 16]), None, &point_of(at(1.0)), 10);
        bodies.grab(CRATE, at(3.0));
        bodies.restart();
        assert_eq!(bodies.shown(None).count(), 1);
        assert!(bodies.in_hand(CRATE));
    }
}
