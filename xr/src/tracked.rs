//! What the headset tells of the person: head, hands, buttons, gaze. Plain values in the frame of the tracking space,
//! whose origin is on the floor and whose place in the world is the [`Rig`](crate::Rig)'s transform.
//!
//! Input is there only while the session has focus: while the runtime's own menu is open, hands are gone and buttons are
//! up, and the head alone is told.

use bevy::prelude::*;

/// Left or right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Side {
    /// The left hand.
    Left,
    /// The right hand.
    #[default]
    Right,
}

impl Side {
    /// Both, left first.
    pub const BOTH: [Side; 2] = [Side::Left, Side::Right];
}

/// One hand and what it does, whatever it holds: a controller of any make, or nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hand {
    /// Where the hand is, tracking space; none while it is not tracked.
    pub grip: Option<Transform>,
    /// Where it points: -Z of this, tracking space.
    pub aim: Option<Transform>,
    /// How far the trigger is pulled, or how firmly the fingers pinch: 0 to 1.
    pub trigger: f32,
    /// How firmly the hand is closed: 0 to 1.
    pub squeeze: f32,
    /// The stick: right and up are positive, -1 to 1.
    pub stick: Vec2,
    /// The lower button (A, X) is down.
    pub primary: bool,
    /// The upper button (B, Y) is down.
    pub secondary: bool,
    /// The menu button is down; of a bare hand, it pinches while it offers the menu.
    pub menu: bool,
    /// Nothing with buttons is in it.
    pub is_bare: bool,
    /// The palm of a bare hand is turned to the eyes: it points at nothing, and pinching is its menu button.
    pub offers_menu: bool,
    /// The 26 joints of XR_EXT_hand_tracking in its order, tracking space; empty while none are tracked.
    pub joints: Vec<Transform>,
}

/// The person as the headset sees them now, for the instant at which this frame will be shown.
#[derive(Resource, Debug, Clone, Default, PartialEq)]
pub struct Tracked {
    /// The head, tracking space: between the eyes, -Z is forward; none while nobody sees the plant.
    pub head: Option<Transform>,
    /// Left and right hand.
    pub hands: [Hand; 2],
    /// Where the eyes look (-Z), tracking space; none where the headset cannot tell.
    pub gaze: Option<Transform>,
}

impl Tracked {
    /// One of the hands.
    pub fn hand(&self, side: Side) -> &Hand {
        &self.hands[side as usize]
    }
}

/// Asks for a tremble in one hand, where what it holds can.
#[derive(Message, Debug, Clone, Copy)]
pub struct Buzz {
    /// Which hand.
    pub side: Side,
    /// 0 to 1.
    pub strength: f32,
    /// How long, seconds.
    pub secs: f32,
}

/// Asks for the headset again after the person has left it; nothing happens while a session stands.
#[derive(Message, Debug, Clone, Copy, Default)]
pub struct EnterHeadset;

/// Something that happened to the session and that the person should read, on the desktop.
#[derive(Message, Debug, Clone)]
pub struct HeadsetNews(pub String);
