//! Golden bytes of every minor version, and what a decoder refuses.

use super::*;
use crate::telemetry::{Tags, Window};
use gemba_twin::peer::PeerKind;
use proptest::prelude::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn the_bytes_of_minor_version_0_stay_as_they_are() {
    let hello = hello(0, None);
    assert_eq!(hex(&frame(&ToHost::Hello(hello))), "0c000000820081850000634164610005");
    assert_eq!(hex(&frame(&ToHost::Ping { sent: -1 })), "0400000082038120");
    let left = ToPeer::Left(PeerNumber(7));
    assert_eq!(hex(&frame(&left)), "0400000082068107");
    let accepted = ToPeer::Accepted { submission: 1, index: 2, overruled: None };
    assert_eq!(hex(&frame(&accepted)), "050000008203820102");
}

#[test]
fn the_bytes_of_minor_version_1_stay_as_they_are() {
    let tags = Some(vec![TagId(1), TagId(300)]);
    let recall = Recall { request: 7, tags, from: Timestamp(-1), to: Timestamp(1000), points: 2 };
    assert_eq!(hex(&frame(&ToHost::Recall(recall))), "0f0000008204818507820119012c201903e802");
    let all = Recall { request: 0, tags: None, from: Timestamp(0), to: Timestamp(0), points: 0 };
    assert_eq!(hex(&frame(&ToHost::Recall(all))), "090000008204818500f6000000");
    assert_eq!(hex(&frame(&ToHost::ShareInstant(Some(Timestamp(5))))), "0400000082058105");
    assert_eq!(hex(&frame(&ToHost::ShareInstant(None))), "03000000820580");
    let history = ToPeer::History { from: Timestamp(1), to: Timestamp(2) };
    assert_eq!(hex(&frame(&history)), "050000008209820102");
    let shared = ToPeer::InstantShared { peer: PeerNumber(3), instant: Some(Timestamp(9)) };
    assert_eq!(hex(&frame(&shared)), "05000000820a820309");
    let covered = vec![(Timestamp(1), Timestamp(2))];
    let mut head = RecallHead { request: 7, covered, is_thinned: true, unreadable: None };
    assert_eq!(hex(&frame(&head)), "07000000830781820102f5");
    assert_eq!(decode_recall_head(&frame(&head)[4..]), Ok(head.clone()));
    head.unreadable = Some(vec![UnreadableSpan { from: Timestamp(3), to: Timestamp(4), why: "no".to_owned() }]);
    assert_eq!(hex(&frame(&head)), "0e000000840781820102f581830304626e6f");
    assert_eq!(decode_recall_head(&frame(&head)[4..]), Ok(head));
}

fn hello(newest_minor: u16, redemption: Option<Vec<u8>>) -> Hello {
    Hello {
        oldest_minor: 0,
        newest_minor,
        name: "Ada".to_owned(),
        kind: PeerKind::Person,
        entries_held: 5,
        redemption: redemption.map(Into::into),
        here: None,
    }
}

#[test]
fn the_bytes_of_minor_version_4_stay_as_they_are() {
    let at = TrackedPoint { place: [1.0, 0.0, -2.0], rotation: [0.0, 0.0, 0.0, 1.0] };
    let point = "8283fa3f800000fa00000000fac000000084fa00000000fa00000000fa00000000fa3f800000";
    let grab = ToHost::Grab { hold: 3, thing: ThingId([7; 16]), from: at };
    assert_eq!(hex(&frame(&grab)[4..]), format!("8208830350{}{point}", "07".repeat(16)));
    assert_eq!(hex(&frame(&ToHost::Release { hold: 3, at })[4..]), format!("82098203{point}"));
    assert_eq!(hex(&frame(&ToHost::Watch(None))[4..]), "820780");
    let lease = Lease { holder: PeerNumber::HOST, epoch: Epoch(2) };
    let news = BodyNews { body: BodyNumber(1), thing: ThingId([7; 16]), lease, at, when: Timestamp(9) };
    let told = format!("820b81850150{}8219ffff02{point}09", "07".repeat(16));
    assert_eq!(hex(&frame(&ToPeer::Body(news))[4..]), told);
    let held = ToPeer::Held { hold: 3, body: BodyNumber(1), epoch: Epoch(2) };
    assert_eq!(hex(&frame(&held)[4..]), "820c83030102");
    let refused = ToPeer::GrabRefused { hold: 3, why: "no".to_owned() };
    assert_eq!(hex(&frame(&refused)[4..]), "820d8203626e6f");
    assert_eq!(hex(&frame(&ToPeer::BodyGone(BodyNumber(1)))[4..]), "820e8101");
    let stands_by = ToHost::StandBy { held: 5, heard: Some(Timestamp(7)), leaves: false };
    assert_eq!(hex(&frame(&stands_by)[4..]), "821818830507f4");
    assert_eq!(hex(&frame(&ToPeer::StandsBy { at: Timestamp(9) })[4..]), "8218188109");
}

#[test]
fn a_place_that_is_nowhere_is_refused() {
    for place in [[f32::NAN, 0.0, 0.0], [0.0, f32::INFINITY, 0.0]] {
        let at = TrackedPoint { place, rotation: [0.0, 0.0, 0.0, 1.0] };
        assert_eq!(decode_to_host(&frame(&ToHost::Release { hold: 0, at })[4..]), Err(WireError::Damaged));
    }
    let at = TrackedPoint { place: [0.0; 3], rotation: [0.0; 4] };
    let grab = ToHost::Grab { hold: 0, thing: ThingId([0; 16]), from: at };
    assert_eq!(decode_to_host(&frame(&grab)[4..]), Err(WireError::Damaged));
}

#[test]
fn the_bytes_of_minor_version_3_stay_as_they_are() {
    assert_eq!(hex(&frame(&ToHost::Bulk)), "03000000820680");
}

#[test]
fn the_bytes_of_minor_version_2_stay_as_they_are() {
    let redeeming = ToHost::Hello(hello(2, Some(vec![1, 2, 3])));
    assert_eq!(hex(&frame(&redeeming)), "10000000820081860002634164610005430102".to_owned() + "03");
    let overruling = ToPeer::Accepted { submission: 1, index: 9, overruled: Some(7) };
    assert_eq!(hex(&frame(&overruling)), "06000000820383010907");
}

#[test]
fn a_newcomer_that_brings_more_than_an_entry_is_refused() {
    let said = |bytes: usize| decode_to_host(&frame(&ToHost::Hello(hello(2, Some(vec![0; bytes]))))[4..]).map(drop);
    assert_eq!(said(limits::REDEMPTION_BYTES), Ok(()));
    assert_eq!(said(limits::REDEMPTION_BYTES + 1), Err(WireError::TooLarge));
}

#[test]
fn a_question_that_would_overwhelm_a_host_is_refused() {
    let asked = |tags: usize, points, to| {
        let tags = Some((0..tags as u32).map(TagId).collect());
        let recall = Recall { request: 1, tags, from: Timestamp(0), to: Timestamp(to), points };
        decode_to_host(&frame(&ToHost::Recall(recall))[4..]).map(drop)
    };
    assert_eq!(asked(limits::RECALL_TAGS, limits::RECALL_POINTS, 0), Ok(()));
    assert_eq!(asked(limits::RECALL_TAGS + 1, 1, 0), Err(WireError::TooLarge));
    assert_eq!(asked(1, limits::RECALL_POINTS + 1, 0), Err(WireError::TooLarge));
    assert_eq!(asked(1, 1, -1), Err(WireError::Damaged));
}

#[test]
fn spans_that_overlap_or_run_backwards_are_refused() {
    let head = |covered: &[(i64, i64)]| {
        let covered = covered.iter().map(|(a, b)| (Timestamp(*a), Timestamp(*b))).collect();
        decode_recall_head(&frame(&RecallHead { request: 0, covered, is_thinned: false, unreadable: None })[4..])
            .map(drop)
    };
    assert_eq!(head(&[(0, 1), (1, 5), (7, 7)]), Ok(()));
    assert_eq!(head(&[(2, 1)]), Err(WireError::Damaged));
    assert_eq!(head(&[(0, 4), (3, 5)]), Err(WireError::Damaged));
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _ = decode_to_host(&bytes);
        let _ = decode_to_peer(&bytes);
        let _ = decode_recall_head(&bytes);
        let _ = PoseUp::decode(&bytes);
        let _ = PoseDown::decode_all(&bytes);
    }
}

#[test]
fn a_message_with_bytes_behind_it_is_refused() {
    let mut body = frame(&ToHost::Ping { sent: 1 })[4..].to_vec();
    body.push(0);
    assert_eq!(decode_to_host(&body), Err(WireError::Damaged));
}

#[test]
fn the_bytes_of_what_is_wanted_of_tags_stay_as_they_are() {
    assert_eq!(hex(&frame(&ToHost::Subscribe(vec![Want::EVERYTHING]))), "0a000000820c8181838200800000");
    let under = Want { tags: Tags::Under("A/B".parse().unwrap()), interval_millis: 50, window: Window::Newest };
    let these = Want { tags: Tags::These(vec![TagId(1), TagId(300)]), interval_millis: 100, window: Window::Extremes };
    let subscribe = ToHost::Subscribe(vec![under, these]);
    let bytes = "1b000000820c81828382018163412f4218320083820281".to_owned() + "820119012c186401";
    assert_eq!(hex(&frame(&subscribe)), bytes);
    assert_eq!(decode_to_host(&frame(&subscribe)[4..]), Ok(subscribe));
}

#[test]
fn more_wants_than_anybody_has_are_refused() {
    let wanted = |count| decode_to_host(&frame(&ToHost::Subscribe(vec![Want::EVERYTHING; count]))[4..]).map(drop);
    assert_eq!(wanted(limits::WANTS), Ok(()));
    assert_eq!(wanted(limits::WANTS + 1), Err(WireError::TooLarge));
}

#[test]
fn the_bytes_of_what_a_newcomer_is_told_of_bodies_stay_as_they_are() {
    let join = ToHost::Join { here: [1, -2, 3], is_alone: false };
    assert_eq!(hex(&frame(&join)), "08000000820d8283012103f4");
    assert_eq!(hex(&frame(&ToPeer::Bodies(300))), "0600000082108119012c");
    assert_eq!(hex(&frame(&ToPeer::Piece(vec![1, 2].into()))), "06000000821181420102");
}
