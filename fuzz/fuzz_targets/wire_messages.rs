//! Any bytes as control messages and datagrams of poses, voices and fingers: what is read says the same when it is written and read again, and
//! a pose that came in has no number that is none.
#![no_main]

use gemba_net::nearby::{FINGERS, VOICE};
use gemba_net::wire::{PoseDown, PoseUp, decode_recall_head, decode_to_host, decode_to_peer, frame};
use gemba_net::{Pose, TrackedPoint, fingers};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = decode_to_host(bytes) {
        assert_eq!(decode_to_host(&frame(&message)[4..]), Ok(message));
    }
    if let Ok(message) = decode_to_peer(bytes) {
        assert_eq!(decode_to_peer(&frame(&message)[4..]), Ok(message));
    }
    let _ = decode_recall_head(bytes);
    for kind in [&VOICE, &FINGERS] {
        if let Some((number, frame)) = kind.decode_up(bytes) {
            assert_eq!(kind.encode_up(number, frame).as_deref(), Some(bytes));
        }
        if let Some(frames) = kind.decode_down(bytes) {
            assert_eq!(bytes.len(), 1 + frames.iter().map(|frame| 5 + frame.bytes.len()).sum::<usize>());
        }
    }
    if let Some(hands) = fingers::decode(bytes) {
        assert_eq!(fingers::encode(&hands), bytes);
    }
    if let Some(up) = PoseUp::decode(bytes) {
        check_pose(&up.pose);
    }
    PoseDown::decode_all(bytes).iter().for_each(|down| check_pose(&down.pose));
});

fn check_pose(pose: &Pose) {
    for TrackedPoint { place, rotation } in std::iter::once(&pose.head).chain(pose.hands.iter().flatten()) {
        assert!(place.iter().chain(rotation).all(|number| number.is_finite()), "{pose:?}");
    }
}
