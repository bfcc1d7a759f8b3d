//! Any bytes as packets of a lane of bodies, each behind its length: places stay finite, memory stays bounded, and what
//! was refused is not acknowledged; with a foresight and without.
#![no_main]

use gemba_net::body::{BodyReceiver, BodySender, Foresight, Placement, Precision, Seen};

/// That all stays where it was.
#[derive(Debug)]
struct Staying;

impl Foresight for Staying {
    fn foresee(&mut self, seen: &[Seen], _: u32) -> Vec<Placement> {
        seen.iter().map(|seen| seen.past[seen.past.len() - 1].at).collect()
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let receiver = || BodyReceiver::new(Precision::of_hands(), 64);
    hear(receiver(), bytes);
    hear(receiver().with_foresight(Box::new(Staying)), bytes);
});

fn hear(mut receiver: BodyReceiver, bytes: &[u8]) {
    let mut sender = BodySender::new(Precision::of_hands());
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first() {
        let (packet, after) = after.split_at(after.len().min(usize::from(*length)));
        rest = after;
        let acks = receiver.acks();
        match receiver.handle_packet(packet) {
            Ok(told) => assert!(told.iter().all(|heard| heard.body.at.place.iter().all(|metres| metres.is_finite()))),
            Err(_) => assert_eq!(receiver.acks(), acks),
        }
        sender.handle_acks(packet);
        let (bodies, told) = receiver.held();
        assert!(bodies <= 64 && told <= 64 * 72);
    }
}
