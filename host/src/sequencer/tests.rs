//! The sequencer over a site directory of its own: who is let in, what is answered, what goes to devices.

use ed25519_dalek::SigningKey;
use gemba_record::command::{Command, Outcome as DeviceOutcome};
use gemba_record::edit::{Change, Edit};
use gemba_record::entry::KeyNumber;
use gemba_record::identity::{Inception, KeyPromise, NewKey};
use gemba_record::invitation::{Invitation, Token};
use gemba_twin::path::ThingPath;
use gemba_twin::sample::{Value, ValueKind};
use gemba_twin::tag::Unit;
use gemba_twin::thing::Thing;

use super::*;

const VISITOR: PeerNumber = PeerNumber(1);

struct Host {
    sequencer: Sequencer,
    _dir: tempfile::TempDir,
}

/// A site of three entries with one thing, and nobody present.
fn host(admit: Option<Role>) -> Host {
    let dir = tempfile::tempdir().unwrap();
    let mut site = SiteDir::create(dir.path(), "Plant").unwrap();
    let thing = Thing { path: hall(), level: Default::default(), class: Default::default(), bindings: vec![] };
    let mut bodies = vec![Body::ImportModel { blob: [1; 32], bytes: 9, name: "a.glb".into() }];
    bodies.extend(Body::add_things([1; 32], vec![thing]));
    site.submit_all(bodies).unwrap();
    Host { sequencer: Sequencer::new(site, admit), _dir: dir }
}

fn hall() -> ThingPath {
    "Hall1".parse().unwrap()
}

fn person(host: &Host, seed: u8) -> Author {
    Author::new(SigningKey::from_bytes(&[seed; 32]), host.sequencer.site().site().id())
}

fn note(author: &Author, n: u8) -> Vec<u8> {
    author.sign(Body::note(hall().id(), "hm"), EntryId([n; 16])).bytes().to_vec()
}

fn newcomer(key: PeerKey, entries_held: u64) -> Newcomer {
    Newcomer { key, name: " Ai\nko ".into(), kind: PeerKind::Person, entries_held, redemption: None }
}

fn commands(host: &mut Host) -> Vec<HostCommand> {
    let next = || {
        let command = host.sequencer.poll_command().unwrap();
        if let Some(HostCommand::Entries { peer: Some(peer), .. }) = &command {
            host.sequencer.handle_entries_taken(*peer);
        }
        command
    };
    std::iter::from_fn(next).collect()
}

/// Up to where a peer that holds `next` entries is sent more by these commands; all of them without a gap.
fn sent(commands: &[HostCommand], to: PeerNumber, mut next: u64) -> u64 {
    let admitted = commands.iter().position(|c| matches!(c, HostCommand::Admit { peer, .. } if *peer == to));
    for command in &commands[admitted.unwrap_or(0)..] {
        if let HostCommand::Entries { peer, first, entries } = command
            && peer.is_none_or(|peer| peer == to)
        {
            assert_eq!(*first, next, "entries come in order, without a gap");
            next += entries.len() as u64;
        }
    }
    next
}

#[test]
fn a_stranger_is_refused_with_a_way_in() {
    let mut host = host(None);
    let key = person(&host, 5).key();
    host.sequencer.handle_arrival(VISITOR, &newcomer(key, 0)).unwrap();
    let commands = commands(&mut host);
    let why = refusal(&commands);
    assert!(why.contains(&key.to_string()) && why.contains("--admit") && why.contains("invitation"), "{why}");
    assert_eq!(host.sequencer.site().site().entries(), 3);
}

#[test]
fn a_guest_is_written_into_the_record_once_and_sent_all_of_it() {
    let mut host = host(Some(Role::Commenter));
    let guest = person(&host, 5);
    host.sequencer.handle_arrival(VISITOR, &newcomer(guest.key(), 0)).unwrap();
    let first = commands(&mut host);
    assert!(matches!(first[0], HostCommand::Admit { peer: VISITOR, entries: 4 }));
    assert_eq!(sent(&first, VISITOR, 0), 4);
    let peer = host.sequencer.site().site().peer(&guest.key()).unwrap();
    assert_eq!((peer.name.as_str(), peer.role()), ("Aiko", Some(Role::Commenter)));
    host.sequencer.handle_leave(VISITOR);
    host.sequencer.handle_arrival(PeerNumber(2), &newcomer(guest.key(), 4)).unwrap();
    let again = commands(&mut host);
    assert!(matches!(again[..], [HostCommand::Admit { peer: PeerNumber(2), entries: 4 }]));
}

#[test]
fn a_peer_comes_in_with_its_key_in_force_and_only_while_it_has_a_role() {
    let mut host = host(Some(Role::Viewer));
    let owner = Author::new(host.sequencer.site.host_key().clone(), host.sequencer.site().site().id());
    let (first, second) = (SigningKey::from_bytes(&[5; 32]), SigningKey::from_bytes(&[6; 32]));
    let aiko = Author::new(first, owner.site);
    let next = key_file::peer_key(&second);
    let renewed = Author { number: KeyNumber(1), signing_key: second, ..aiko.clone() };
    let promise = Inception { next: Some(KeyPromise::of(&next)), guardians: None };
    let admit = Body::Admit { peer: aiko.key(), kind: PeerKind::Person, name: "Aiko".into(), role: Role::Viewer };
    let mut arrives = |author: &Author, body, key| {
        let entry = author.sign(body, EntryId(key_file::random())).into_parts().0;
        host.sequencer.append(vec![entry]).unwrap().0[0].clone().unwrap();
        host.sequencer.handle_arrival(VISITOR, &newcomer(key, 0)).unwrap();
        let arrived = commands(&mut host).into_iter().find_map(|command| match command {
            HostCommand::Refuse { why, .. } => Some(Err(why)),
            HostCommand::Admit { .. } => Some(Ok(())),
            _ => None,
        });
        host.sequencer.handle_leave(VISITOR);
        arrived.unwrap()
    };
    assert_eq!(arrives(&owner, admit, aiko.key()), Ok(()));
    assert_eq!(arrives(&aiko, Body::PromiseKey(promise), aiko.key()), Ok(()));
    let rotate = Body::RotateKey(NewKey { key: next, next: None });
    assert!(arrives(&renewed, rotate, aiko.key()).unwrap_err().contains("replaced"), "the old key stays out");
    let note = |text: &str| Body::note(hall().id(), text);
    assert_eq!(arrives(&owner, note("1"), next), Ok(()), "the new key is the same peer");
    let revoke = Body::RevokeRole { peer: aiko.key(), scope: None };
    assert!(arrives(&owner, revoke, next).unwrap_err().contains("ask an owner"), "who is out stays out");
    assert!(arrives(&owner, note("2"), aiko.key()).unwrap_err().contains("replaced"), "and is no guest either");
    let revoke = Body::RevokeKey { peer: aiko.key() };
    assert!(arrives(&owner, revoke, next).unwrap_err().contains("revoked"), "nor is who holds a stolen key");
}

#[test]
fn who_loses_their_role_while_present_is_sent_away_after_their_own_answer() {
    let mut host = host(Some(Role::Viewer));
    let owner = Author::new(host.sequencer.site.host_key().clone(), host.sequencer.site().site().id());
    let guest = person(&host, 5);
    host.sequencer.handle_arrival(VISITOR, &newcomer(guest.key(), 0)).unwrap();
    commands(&mut host);
    let say = |author: &Author, body, n| author.sign(body, EntryId([n; 16])).into_parts().0;
    let revoke = say(&owner, Body::RevokeRole { peer: guest.key(), scope: None }, 1);
    let late = say(&guest, Body::note(hall().id(), "hm"), 2);
    let batch = (1..).zip([revoke, late]).map(|(number, entry)| Submission { peer: VISITOR, number, entry });
    host.sequencer.handle_submissions(batch.collect()).unwrap();
    let last: Vec<_> = commands(&mut host).into_iter().rev().take(3).collect();
    assert!(matches!(&last[0], HostCommand::Refuse { peer: VISITOR, why } if why.contains("taken back")));
    assert!(matches!(&last[1], HostCommand::Answer { submission: 2, outcome: Err(_), .. }));
    assert!(matches!(&last[2], HostCommand::Answer { submission: 1, outcome: Ok(_), .. }));
    let revived = say(&owner, Body::note(hall().id(), "without them"), 3);
    host.sequencer.handle_submissions(vec![Submission { peer: PeerNumber(9), number: 1, entry: revived }]).unwrap();
    let told = commands(&mut host);
    assert!(!told.iter().any(|command| matches!(command, HostCommand::Entries { .. })), "nobody is left to be told");
}

#[test]
fn a_device_is_never_let_in_as_a_guest() {
    let mut host = host(Some(Role::Editor));
    let key = person(&host, 5).key();
    let device = Newcomer { kind: PeerKind::Device, ..newcomer(key, 0) };
    host.sequencer.handle_arrival(VISITOR, &device).unwrap();
    assert!(matches!(commands(&mut host)[..], [HostCommand::Refuse { .. }]));
}

#[test]
fn a_peer_that_holds_more_than_the_host_is_told_so() {
    let mut host = host(Some(Role::Viewer));
    let key = person(&host, 5).key();
    host.sequencer.handle_arrival(VISITOR, &newcomer(key, 9)).unwrap();
    assert!(matches!(&commands(&mut host)[..], [HostCommand::Refuse { why, .. }] if why.contains("older copy")));
}

#[test]
fn submissions_are_answered_each_and_seen_by_all_present() {
    let mut host = host(Some(Role::Commenter));
    let (guest, stranger) = (person(&host, 5), person(&host, 6));
    host.sequencer.handle_arrival(VISITOR, &newcomer(guest.key(), 0)).unwrap();
    commands(&mut host);
    let batch = [note(&guest, 1), note(&stranger, 2), note(&guest, 1)];
    let batch = (10..).zip(batch).map(|(number, entry)| Submission { peer: VISITOR, number, entry });
    host.sequencer.handle_submissions(batch.collect()).unwrap();
    let commands = commands(&mut host);
    assert!(matches!(&commands[0], HostCommand::Entries { peer: None, first: 4, entries } if entries.len() == 1));
    let answers: Vec<_> = commands[1..]
        .iter()
        .map(|command| match command {
            HostCommand::Answer { peer: VISITOR, submission, outcome, .. } => (*submission, outcome.clone().ok()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(answers, [(10, Some(4)), (11, None), (12, Some(4))]);
}

#[test]
fn a_newcomer_who_is_still_catching_up_gets_new_entries_in_their_turn() {
    let mut host = host(Some(Role::Commenter));
    let (present, late) = (person(&host, 5), person(&host, 6));
    host.sequencer.handle_arrival(VISITOR, &newcomer(present.key(), 0)).unwrap();
    let to_first = commands(&mut host);
    host.sequencer.handle_arrival(PeerNumber(2), &newcomer(late.key(), 1)).unwrap();
    let entry = note(&present, 1);
    host.sequencer.handle_submissions(vec![Submission { peer: VISITOR, number: 1, entry }]).unwrap();
    let rest = commands(&mut host);
    assert_eq!(sent(&to_first, VISITOR, 0), 4);
    assert_eq!(sent(&rest, VISITOR, 4), 6);
    assert_eq!(sent(&rest, PeerNumber(2), 1), 6);
}

#[test]
fn a_newcomer_that_takes_nothing_is_sent_one_piece_of_the_log_and_holds_up_nobody() {
    let mut host = host(Some(Role::Commenter));
    let author = person(&host, 5);
    let long = |n: u8| author.sign(Body::note(hall().id(), "x".repeat(4000)), EntryId([n; 16])).bytes().to_vec();
    host.sequencer.handle_arrival(VISITOR, &newcomer(author.key(), 0)).unwrap();
    commands(&mut host);
    host.sequencer.handle_leave(VISITOR);
    for first in 0..8u8 {
        let batch = (0..32).map(|n| Submission { peer: VISITOR, number: 1, entry: long(first * 32 + n) });
        host.sequencer.handle_submissions(batch.collect()).unwrap();
    }
    commands(&mut host);
    let entries = host.sequencer.site().log().entries();
    assert!(entries > 256, "{entries}");
    host.sequencer.handle_arrival(PeerNumber(2), &newcomer(author.key(), 0)).unwrap();
    let poll = |host: &mut Host| std::iter::from_fn(|| host.sequencer.poll_command().unwrap()).collect::<Vec<_>>();
    let stuck = sent(&poll(&mut host), PeerNumber(2), 0);
    assert!(stuck > 0 && stuck < entries, "{stuck} of {entries}");
    host.sequencer.handle_arrival(PeerNumber(3), &newcomer(author.key(), 0)).unwrap();
    assert_eq!(sent(&commands(&mut host), PeerNumber(3), 0), entries);
    host.sequencer.handle_entries_taken(PeerNumber(2));
    assert_eq!(sent(&poll(&mut host), PeerNumber(2), stuck), entries);
}

#[test]
fn only_new_tags_are_declared_and_numbers_stay() {
    let mut host = host(None);
    let gateway = person(&host, 7);
    host.sequencer.admit_gateway(gateway.key()).unwrap();
    host.sequencer.admit_gateway(gateway.key()).unwrap();
    assert_eq!(host.sequencer.site().site().entries(), 4);
    let tag = |n: usize, unit: &str| Tag {
        path: format!("Hall1/T{n}").parse().unwrap(),
        kind: ValueKind::Float,
        unit: Unit::new(unit),
        range: None,
        writable: false,
    };
    let tags: Vec<Tag> = (0..2500).map(|n| tag(n, "s")).collect();
    let numbers = host.sequencer.handle_tags(&gateway, &tags).unwrap();
    assert_eq!(numbers, (0..2500).map(|n| Some(TagId(n))).collect::<Vec<_>>());
    assert_eq!(host.sequencer.site().site().entries(), 7);
    let reversed: Vec<Tag> = tags.iter().rev().cloned().chain([tag(9000, "s")]).collect();
    let numbers = host.sequencer.handle_tags(&gateway, &reversed).unwrap();
    assert_eq!((numbers[0], numbers[2500]), (Some(TagId(2499)), Some(TagId(2500))));
    assert_eq!(host.sequencer.site().site().entries(), 8);
    host.sequencer.handle_tags(&gateway, &[tag(0, "min")]).unwrap();
    assert_eq!(host.sequencer.site().site().tag(TagId(0)).unwrap().unit.symbol(), "min");
    let other = person(&host, 8);
    host.sequencer.admit_gateway(other.key()).unwrap();
    assert_eq!(host.sequencer.handle_tags(&other, &[tag(0, "h")]).unwrap(), [None]);
}

/// An owner's invitation, and the token that redeems it.
fn invite(host: &mut Host, role: Role, expires: i64) -> Token {
    let token = Token::new([9; 32]);
    let expires = Timestamp::from_secs(expires);
    let invitation = Invitation { token: token.public(), role, scope: None, kind: PeerKind::Person, expires };
    host.sequencer.handle_own(vec![Body::Invite(invitation)]).unwrap().remove(0).unwrap();
    token
}

/// What a newcomer says who redeems `token` for the holder of `proven`.
fn redeeming(host: &Host, token: &Token, newcomer_seed: u8, proven: PeerKey) -> Newcomer {
    let author = person(host, newcomer_seed);
    let signature = token.redeem(author.site, &proven);
    let body = Body::RedeemInvitation { token: token.public(), signature, name: "Noa".to_owned() };
    let entry = author.sign(body, EntryId([newcomer_seed; 16])).into_parts().0;
    Newcomer { redemption: Some(entry), ..newcomer(author.key(), 0) }
}

fn refusal(commands: &[HostCommand]) -> &str {
    let refused = commands.iter().find_map(|command| match command {
        HostCommand::Refuse { why, .. } => Some(why.as_str()),
        _ => None,
    });
    refused.unwrap_or("")
}

#[test]
fn an_invitation_lets_one_newcomer_in_once_and_before_its_end_by_the_hosts_clock() {
    let mut host = host(None);
    // Later than what the site says itself, which is dated by this machine's clock.
    let begin = host.sequencer.site().site().time().0 / 1_000_000 + 1;
    let at = |secs| Timestamp::from_secs(begin + secs);
    host.sequencer.handle_time(at(0));
    let token = invite(&mut host, Role::Operator, begin + 1000);
    let (first, second) = (person(&host, 5).key(), person(&host, 6).key());
    let stolen = redeeming(&host, &token, 6, first);
    host.sequencer.handle_arrival(VISITOR, &stolen).unwrap();
    assert!(refusal(&commands(&mut host)).contains("not made for you"));
    host.sequencer.handle_time(at(1001));
    let good = redeeming(&host, &token, 5, first);
    host.sequencer.handle_arrival(VISITOR, &good).unwrap();
    assert!(refusal(&commands(&mut host)).contains("it has ended"), "however the newcomer dates its entry");
    host.sequencer.handle_time(at(999));
    host.sequencer.handle_arrival(VISITOR, &good).unwrap();
    assert!(matches!(commands(&mut host)[..], [HostCommand::Admit { .. }, HostCommand::Entries { .. }]));
    let peer = host.sequencer.site().site().peer(&first).unwrap();
    assert_eq!((peer.role(), peer.name.as_str()), (Some(Role::Operator), "Noa"));
    host.sequencer.handle_arrival(PeerNumber(2), &good).unwrap();
    assert_eq!(refusal(&commands(&mut host)), "", "who is in comes again with the same link");
    let late = redeeming(&host, &token, 6, second);
    host.sequencer.handle_arrival(PeerNumber(3), &late).unwrap();
    assert!(refusal(&commands(&mut host)).contains("it has been used"));
    let forged = redeeming(&host, &Token::new([8; 32]), 6, second);
    host.sequencer.handle_arrival(PeerNumber(4), &forged).unwrap();
    assert!(refusal(&commands(&mut host)).contains("not in this site's record"));
    let nonsense = Newcomer { redemption: Some(vec![1, 2]), ..newcomer(second, 0) };
    host.sequencer.handle_arrival(PeerNumber(5), &nonsense).unwrap();
    assert!(refusal(&commands(&mut host)).contains("no invitation"));
}

#[test]
fn who_was_put_out_is_not_let_in_again() {
    let mut host = host(Some(Role::Editor));
    let guest = person(&host, 5).key();
    host.sequencer.handle_arrival(VISITOR, &newcomer(guest, 0)).unwrap();
    host.sequencer.handle_leave(VISITOR);
    commands(&mut host);
    host.sequencer.handle_own(vec![Body::RevokeRole { peer: guest, scope: None }]).unwrap().remove(0).unwrap();
    host.sequencer.handle_arrival(VISITOR, &newcomer(guest, 0)).unwrap();
    assert!(refusal(&commands(&mut host)).contains("ask an owner for a role"));
}

#[test]
fn an_edit_on_old_ground_is_answered_with_what_it_overruled() {
    let mut host = host(Some(Role::Editor));
    let (ada, ben) = (person(&host, 5), person(&host, 6));
    host.sequencer.handle_arrival(VISITOR, &newcomer(ada.key(), 0)).unwrap();
    host.sequencer.handle_arrival(PeerNumber(2), &newcomer(ben.key(), 0)).unwrap();
    commands(&mut host);
    let based_on = host.sequencer.site().log().entries();
    let rename = |author: &Author, number: u64, name: &str| {
        let edit = Edit { thing: hall().id(), based_on, change: Change::Rename(name.to_owned()), undoes: None };
        let entry = author.sign(Body::EditThing(edit), EntryId([number as u8; 16])).into_parts().0;
        Submission { peer: VISITOR, number, entry }
    };
    host.sequencer.handle_submissions(vec![rename(&ada, 1, "North"), rename(&ben, 2, "South")]).unwrap();
    let answers: Vec<_> = commands(&mut host)
        .into_iter()
        .filter_map(|command| match command {
            HostCommand::Answer { submission, outcome, overruled, .. } => Some((submission, outcome, overruled)),
            _ => None,
        })
        .collect();
    assert_eq!(answers, [(1, Ok(based_on), None), (2, Ok(based_on + 1), Some(based_on))]);
}

#[test]
fn what_is_dated_far_ahead_of_the_hosts_clock_is_refused() {
    let mut host = host(Some(Role::Commenter));
    let guest = person(&host, 5);
    host.sequencer.handle_time(Timestamp::from_secs(10_000));
    host.sequencer.handle_arrival(VISITOR, &newcomer(guest.key(), 0)).unwrap();
    commands(&mut host);
    let dated = |number: u64, secs| {
        let guest = guest.clone().at(Timestamp::from_secs(secs));
        Submission { peer: VISITOR, number, entry: note(&guest, number as u8) }
    };
    host.sequencer.handle_submissions(vec![dated(1, 10_300), dated(2, 10_301), dated(3, 5)]).unwrap();
    let mut outcomes = Vec::new();
    for command in commands(&mut host) {
        if let HostCommand::Answer { outcome, .. } = command {
            outcomes.push(outcome);
        }
    }
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
    assert!(outcomes[1].as_ref().unwrap_err().contains("5 min ahead"), "{outcomes:?}");
}

#[test]
fn a_command_goes_to_its_device_once_and_again_only_after_a_crash() {
    let mut host = host(None);
    let (gateway, operator) = (person(&host, 7), person(&host, 5));
    host.sequencer.admit_gateway(gateway.key()).unwrap();
    let admit =
        Body::Admit { peer: operator.key(), kind: PeerKind::Person, name: "Op".to_owned(), role: Role::Operator };
    host.sequencer.handle_own(vec![admit]).unwrap().remove(0).unwrap();
    let tag = Tag {
        path: "Hall1/Valve".parse().unwrap(),
        kind: ValueKind::Float,
        unit: Unit::new("%"),
        range: None,
        writable: true,
    };
    host.sequencer.handle_tags(&gateway, std::slice::from_ref(&tag)).unwrap();
    let command = Command { tag: tag.path, value: Value::Float(40.0), until: Timestamp::from_secs(99) };
    let id = EntryId([4; 16]);
    let entry = operator.sign(Body::CommandDevice(command.clone()), id).into_parts().0;
    let again = Submission { peer: VISITOR, number: 2, entry: entry.clone() };
    host.sequencer.handle_submissions(vec![Submission { peer: VISITOR, number: 1, entry }, again]).unwrap();
    assert_eq!(host.sequencer.poll_order(), Some(Order { id, command: command.clone() }));
    assert_eq!(host.sequencer.poll_order(), None, "the same entry sent twice is one command");
    let dir = host.sequencer.site().dir().to_owned();
    drop(host.sequencer);
    let mut after = Sequencer::new(SiteDir::open(&dir).unwrap(), None);
    after.admit_gateway(gateway.key()).unwrap();
    assert_eq!(after.poll_order(), Some(Order { id, command }), "it has no outcome yet");
    after.handle_carried(&gateway, Carried { id, outcome: DeviceOutcome::Done }).unwrap();
    assert_eq!(after.site().site().command(id).unwrap().outcome, Some(DeviceOutcome::Done));
    drop(after);
    let mut later = Sequencer::new(SiteDir::open(&dir).unwrap(), None);
    later.admit_gateway(gateway.key()).unwrap();
    assert_eq!(later.poll_order(), None);
}

/// The visitor has come in; how many entries there are.
fn with_visitor(host: &mut Host) -> (Author, u64) {
    let guest = person(host, 5);
    host.sequencer.handle_arrival(VISITOR, &newcomer(guest.key(), 0)).unwrap();
    commands(host);
    (guest, host.sequencer.site().log().entries())
}

#[test]
fn what_the_heir_does_not_have_is_neither_shown_nor_acknowledged() {
    let mut host = host(Some(Role::Commenter));
    let (guest, entries) = with_visitor(&mut host);
    host.sequencer.handle_consent(true, Some(entries));
    let said = (1..4).map(|n| Submission { peer: VISITOR, number: n.into(), entry: note(&guest, n) });
    host.sequencer.handle_submissions(said.collect()).unwrap();
    assert_eq!(host.sequencer.site().log().entries(), entries + 3);
    assert!(commands(&mut host).is_empty() && !host.sequencer.shows_all());
    host.sequencer.handle_arrival(PeerNumber(2), &newcomer(guest.key(), 0)).unwrap();
    let others = commands(&mut host);
    assert!(matches!(others[0], HostCommand::Admit { entries: shown, .. } if shown == entries), "{:?}", others[0]);
    assert_eq!(sent(&others, PeerNumber(2), 0), entries);
    host.sequencer.handle_consent(true, Some(entries + 2));
    let told = commands(&mut host);
    let answers: Vec<_> = told
        .iter()
        .filter_map(|c| if let HostCommand::Answer { submission, .. } = c { Some(*submission) } else { None })
        .collect();
    assert_eq!((answers, sent(&told, VISITOR, entries)), (vec![1, 2], entries + 2));
    host.sequencer.handle_consent(true, None);
    let told = commands(&mut host);
    assert_eq!(sent(&told, VISITOR, entries + 2), entries + 3);
    assert!(host.sequencer.shows_all());
}

#[test]
fn while_the_heir_is_silent_nothing_is_taken_and_nothing_is_lost() {
    let mut host = host(Some(Role::Commenter));
    let (guest, entries) = with_visitor(&mut host);
    host.sequencer.handle_consent(false, Some(entries));
    let said = Submission { peer: VISITOR, number: 1, entry: note(&guest, 1) };
    host.sequencer.handle_submissions(vec![said]).unwrap();
    let stranger = person(&host, 6).key();
    host.sequencer.handle_arrival(PeerNumber(2), &newcomer(stranger, 0)).unwrap();
    let told = commands(&mut host);
    assert!(refusal(&told).contains("may have taken over"), "{told:?}");
    assert_eq!(told.len(), 1, "the entry has no answer");
    assert!(host.sequencer.is_waiting() && host.sequencer.site().log().entries() == entries);
    host.sequencer.handle_consent(true, Some(entries));
    host.sequencer.handle_retry().unwrap();
    host.sequencer.handle_consent(true, Some(entries + 1));
    let told = commands(&mut host);
    assert!(matches!(&told[0], HostCommand::Answer { submission: 1, outcome: Ok(at), .. } if *at == entries));
}
