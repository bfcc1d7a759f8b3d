//! Monado's remote driver: one TCP connection on which every packet becomes the new state of head and controllers. The
//! layout is that of Monado 25.0.0, `src/xrt/drivers/remote/r_interface.h`: 376 bytes, little endian.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use serde_json::Value;

use crate::plant_site::eventually;

const MAGIC: &[u8; 8] = b"mndrmt3\0";
const PACKET_BYTES: usize = 376;

/// Place and rotation (quaternion x, y, z, w), tracking space, metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pose {
    /// Where.
    pub place: [f32; 3],
    /// How it is turned.
    pub rotation: [f32; 4],
}

impl Pose {
    /// Looks along -Z turned by `yaw` about +Y and raised by `pitch`, radians.
    pub fn looking(place: [f32; 3], yaw: f32, pitch: f32) -> Self {
        let ((sy, cy), (sx, cx)) = ((yaw / 2.0).sin_cos(), (pitch / 2.0).sin_cos());
        Self { place, rotation: [cy * sx, sy * cx, -sy * sx, cy * cx] }
    }

    /// At `place`, pointing to `to`.
    pub fn towards(place: [f32; 3], to: [f32; 3]) -> Self {
        let [x, y, z] = [0, 1, 2].map(|i| to[i] - place[i]);
        Self::looking(place, (-x).atan2(-z), y.atan2(x.hypot(z)))
    }
}

/// One hand's controller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Controller {
    /// Where the hand is; it points along -Z.
    pub pose: Pose,
    /// 0 to 1.
    pub trigger: f32,
    /// 0 to 1.
    pub squeeze: f32,
    /// Right and up are positive.
    pub stick: [f32; 2],
    /// Whether the stick is pressed down, which is the menu button of this make.
    pub menu: bool,
    /// Whether the lower button is down.
    pub lower: bool,
    /// Whether the hand is tracked.
    pub is_tracked: bool,
    /// How far each finger is bent (little finger first, 0 straight to 1), where cameras see the bare hand: then all its
    /// joints are told.
    pub fingers: Option<[f32; 5]>,
}

/// Head and hands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Person {
    /// Between the eyes.
    pub head: Pose,
    /// Left and right.
    pub hands: [Controller; 2],
}

impl Default for Person {
    fn default() -> Self {
        let hand = |x| Controller {
            pose: Pose::looking([x, 1.25, -0.35], 0.0, 0.0),
            trigger: 0.0,
            squeeze: 0.0,
            stick: [0.0, 0.0],
            menu: false,
            lower: false,
            is_tracked: true,
            fingers: None,
        };
        Self { head: Pose::looking([0.05, 1.65, 0.0], 0.0, 0.0), hands: [hand(-0.22), hand(0.22)] }
    }
}

impl Person {
    /// Whether the viewer's own words say the same, to a millimetre.
    pub fn is_at(&self, standing: &Value) -> bool {
        let same = |told: &Value, wanted: &[f32]| {
            told.as_array().is_some_and(|told| {
                let near = |(told, wanted): (&Value, &f32)| {
                    (told.as_f64().unwrap_or(f64::NAN) - f64::from(*wanted)).abs() < 1e-3
                };
                told.len() == wanted.len() && told.iter().zip(wanted).all(near)
            })
        };
        // A quaternion and its negative are one rotation.
        let turned = |told: &Value, r: [f32; 4]| same(told, &r) || same(told, &r.map(|c| -c));
        same(&standing["head"], &self.head.place)
            && turned(&standing["head_rotation"], self.head.rotation)
            && self.hands.iter().enumerate().all(|(side, hand)| {
                if !hand.is_tracked {
                    return standing["hands"][side].is_null();
                }
                same(&standing["hands"][side], &hand.pose.place)
                    && turned(&standing["hand_rotations"][side], hand.pose.rotation)
                    && same(&standing["sticks"][side], &hand.stick)
                    && standing["menus"][side] == hand.menu
                    && standing["lowers"][side] == hand.lower
                    && (standing["triggers"][side].as_f64().unwrap_or(-1.0) - f64::from(hand.trigger)).abs() < 1e-3
                    && (standing["squeezes"][side].as_f64().unwrap_or(-1.0) - f64::from(hand.squeeze)).abs() < 1e-3
            })
    }

    fn packet(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let floats = |out: &mut Vec<u8>, numbers: &[f32]| numbers.iter().for_each(|n| out.extend(n.to_le_bytes()));
        let pose = |out: &mut Vec<u8>, pose: &Pose| {
            floats(out, &pose.rotation);
            floats(out, &pose.place);
        };
        for _eye in 0..2 {
            // Fields of view and places of the eyes: not valid below, so that the runtime takes its own.
            floats(&mut out, &[0.0; 12]);
        }
        pose(&mut out, &self.head);
        out.extend([0; 4]);
        for hand in &self.hands {
            pose(&mut out, &hand.pose);
            floats(&mut out, &[0.0; 6]);
            floats(&mut out, &hand.fingers.unwrap_or_default());
            floats(&mut out, &[hand.trigger, hand.squeeze, 0.0, hand.stick[0], hand.stick[1], 0.0, 0.0, 0.0]);
            // Whether joints are tracked, and the controller; then eleven buttons, of which the third is the lower one and
            // the ninth the stick's.
            out.extend([u8::from(hand.fingers.is_some()), u8::from(hand.is_tracked)]);
            let mut buttons = [0; 14];
            buttons[2] = u8::from(hand.lower);
            buttons[8] = u8::from(hand.menu);
            out.extend(buttons);
        }
        assert_eq!(out.len(), PACKET_BYTES);
        out
    }
}

/// The connection with the runtime in the viewer.
#[derive(Debug)]
pub struct Remote(TcpStream);

impl Remote {
    /// Connects as soon as the runtime listens.
    pub fn connect(port: u16) -> Self {
        Self(eventually("the runtime's remote driver listens", || TcpStream::connect(("127.0.0.1", port)).ok()))
    }

    /// Head and hands are so from now on.
    pub fn tell(&mut self, person: &Person) {
        self.0.write_all(&person.packet()).expect("the runtime listens");
    }
}

/// A port that nobody listens on.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}
