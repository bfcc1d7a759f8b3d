//! The other people in the plant: who is here, where they look, what they have selected; drawn as avatars with name,
//! view direction and laser pointer.

use std::collections::BTreeMap;

use bevy::prelude::*;
use gemba_net::body::Playback;
use gemba_net::fingers::Fingers;
use gemba_net::{PeerInfo, PeerNumber, Pose};
use gemba_twin::path::ThingId;
use gemba_twin::sample::Timestamp;

use crate::bodies::heard;

mod avatar;
mod fingers;
mod look;
mod posture;
mod trace;

pub use fingers::{HeardFingers, bends};
pub use look::{LookThrough, LookingThrough, TogglePeople};
pub use trace::AvatarTrace;

/// One other participant.
#[derive(Debug, Clone)]
pub struct Person {
    /// Who it is.
    pub info: PeerInfo,
    /// The two newest poses with their times on the host's clock, older first: what is shown lies between them.
    pub poses: [Option<(Timestamp, Pose)>; 2],
    /// The last places of their head and hands, by which they are shown.
    pub head: Playback,
    /// Left and right; none heard where there is no hand.
    pub hands: [Playback; 2],
    /// How their fingers are bent, where those are tracked.
    pub fingers: HeardFingers,
    /// What they have selected.
    pub selected: Option<ThingId>,
}

impl Person {
    /// Someone of whom nothing was heard yet.
    pub fn new(info: PeerInfo) -> Self {
        let hands = [Playback::default(), Playback::default()];
        Self {
            info,
            poses: [None, None],
            head: Playback::default(),
            hands,
            fingers: HeardFingers::default(),
            selected: None,
        }
    }
}

/// Everyone else at the site now. Only the link writes it.
#[derive(Resource, Default)]
pub struct People(pub BTreeMap<u16, Person>);

impl People {
    /// Someone came.
    pub fn join(&mut self, info: PeerInfo) {
        self.0.insert(info.number.0, Person::new(info));
    }

    /// Someone moved; an older pose than the newest is ignored.
    /// The tick is that of [`crate::playing::Playing`], with whether they stand like this until another word comes.
    pub fn moved(&mut self, peer: PeerNumber, pose: Pose, at: Timestamp, (tick, rests): (u32, bool)) {
        if let Some(person) = self.0.get_mut(&peer.0) {
            person.head.handle_heard(&heard(&pose.head, tick, rests));
            for (hand, told) in person.hands.iter_mut().zip(&pose.hands) {
                match told {
                    Some(point) => hand.handle_heard(&heard(point, tick, rests)),
                    None => *hand = Playback::default(),
                }
            }
            let [older, newer] = &mut person.poses;
            if newer.as_ref().is_none_or(|(known, _)| *known < at) {
                *older = newer.replace((at, pose));
            }
        }
    }
}

/// This person's own body as a headset tracks it: what the others get to see. Only the headset writes it.
#[derive(Resource, Default, Debug, Clone)]
pub struct OwnBody {
    /// World frame; none on the desktop, where the camera is the head.
    pub pose: Option<Pose>,
    /// Of those hands whose joints are tracked, which are then told by their palms.
    pub fingers: [Option<Fingers>; 2],
}

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<People>().init_resource::<OwnBody>().add_plugins((
        avatar::plugin,
        fingers::plugin,
        look::plugin,
    ));
}
