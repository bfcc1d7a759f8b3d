//! Who may say what, with which key, where, and since when.

#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use ed25519_dalek::SigningKey;
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::entry::{EntryId, KeyNumber, SignedEntry, SiteId};
use gemba_record::identity::{Approval, Guardians, Inception, KeyPromise, NewKey};
use gemba_record::invitation::{Invitation, Token};
use gemba_record::log::Log;
use gemba_record::policy::{Member, SitePolicy};
use gemba_record::refusal::Refusal;
use gemba_record::role::{Grant, Role};
use gemba_record::site::{Placed, Site};
use gemba_record::succession::SiteHost;
use gemba_twin::path::{ThingId, ThingPath};
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::sample::Timestamp;
use gemba_twin::thing::Thing;

const SITE: SiteId = SiteId([5; 16]);
const MODEL: [u8; 32] = [0xab; 32];

fn signing(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn author(seed: u8) -> Author {
    Author::new(signing(seed), SITE)
}

fn key(seed: u8) -> PeerKey {
    author(seed).identity
}

fn path(text: &str) -> ThingPath {
    text.parse().unwrap()
}

/// A log and a counter for entry ids.
struct Plant {
    log: Log,
    next: u8,
}

impl Plant {
    /// Owner 1; two halls with a robot each.
    fn new() -> Self {
        let mut plant = Self { log: Log::new(), next: 0 };
        plant.takes(&author(1), Body::Found { name: "Plant".into(), host: key(1) });
        plant.takes(&author(1), Body::ImportModel { blob: MODEL, bytes: 9, name: "plant.glb".into() });
        let thing = |text: &str| Thing {
            path: path(text),
            level: Default::default(),
            class: Default::default(),
            bindings: vec![],
        };
        let things = ["Hall1", "Hall1/Robot1", "Hall2", "Hall2/Robot1"].map(thing).to_vec();
        plant.takes(&author(1), Body::AddThings { model: MODEL, things });
        plant
    }

    fn admitted(mut self, seed: u8, role: Role) -> Self {
        let (peer, name) = (key(seed), format!("peer {seed}"));
        self.takes(&author(1), Body::Admit { peer, kind: PeerKind::Person, name, role });
        self
    }

    fn sign(&mut self, author: &Author, body: Body) -> SignedEntry {
        self.next += 1;
        author.sign(body, EntryId([self.next; 16]))
    }

    fn says(&mut self, author: &Author, body: Body) -> Result<Placed, Refusal> {
        let entry = self.sign(author, body);
        let before = self.log.site().map(Site::digest);
        let outcome = self.log.append(entry.bytes().to_vec());
        assert!(outcome.is_ok() || before == self.log.site().map(Site::digest), "a refusal changes nothing");
        outcome
    }

    #[track_caller]
    fn takes(&mut self, author: &Author, body: Body) {
        assert!(matches!(self.says(author, body), Ok(Placed::New(_))));
    }

    fn site(&self) -> &Site {
        self.log.site().unwrap()
    }
}

fn note(at: &str) -> Body {
    Body::note(path(at).id(), "hm")
}

fn scoped(role: Role, at: &str) -> Grant {
    Grant { role, scope: Some(path(at).id()) }
}

#[test]
fn a_role_granted_for_one_hall_ends_at_its_walls() {
    let mut plant = Plant::new();
    let owner = author(1);
    plant.takes(&owner, Body::Admit { peer: key(2), kind: PeerKind::Person, name: "Aiko".into(), role: Role::Viewer });
    assert!(matches!(plant.says(&author(2), note("Hall1/Robot1")), Err(Refusal::Role { .. })));
    plant.takes(&owner, Body::GrantRole { peer: key(2), grant: scoped(Role::Commenter, "Hall1") });
    plant.takes(&author(2), note("Hall1/Robot1"));
    assert_eq!(plant.says(&author(2), note("Hall2/Robot1")), Err(Refusal::Scope { needs: Role::Commenter }));
    plant.takes(&owner, Body::RevokeRole { peer: key(2), scope: Some(path("Hall1").id()) });
    assert!(matches!(plant.says(&author(2), note("Hall1/Robot1")), Err(Refusal::Role { .. })));
    plant.takes(&owner, Body::RevokeRole { peer: key(2), scope: None });
    assert_eq!(plant.says(&author(2), note("Hall1/Robot1")), Err(Refusal::NotAdmitted));
    assert!(!plant.site().may_enter(&key(2)));
}

#[test]
fn an_owner_of_one_hall_gives_nothing_away_outside_of_it() {
    let mut plant = Plant::new().admitted(2, Role::Viewer).admitted(3, Role::Viewer);
    plant.takes(&author(1), Body::GrantRole { peer: key(2), grant: scoped(Role::Owner, "Hall1") });
    plant.takes(&author(2), Body::GrantRole { peer: key(3), grant: scoped(Role::Editor, "Hall1/Robot1") });
    for grant in [scoped(Role::Editor, "Hall2"), Grant { role: Role::Editor, scope: None }] {
        assert_eq!(
            plant.says(&author(2), Body::GrantRole { peer: key(3), grant }),
            Err(Refusal::Scope { needs: Role::Owner })
        );
    }
    let admit = Body::Admit { peer: key(4), kind: PeerKind::Person, name: "x".into(), role: Role::Viewer };
    assert_eq!(plant.says(&author(2), admit), Err(Refusal::Scope { needs: Role::Owner }));
}

#[test]
fn the_last_owner_cannot_be_removed_in_any_way() {
    let mut plant = Plant::new().admitted(2, Role::Owner);
    let owner = author(1);
    plant.takes(&author(2), Body::RevokeRole { peer: key(2), scope: None });
    let ways = [
        Body::RevokeRole { peer: key(1), scope: None },
        Body::GrantRole { peer: key(1), grant: Grant { role: Role::Editor, scope: None } },
        Body::Admit { peer: key(1), kind: PeerKind::Person, name: "x".into(), role: Role::Viewer },
        Body::RevokeKey { peer: key(1) },
    ];
    for way in ways {
        assert_eq!(plant.says(&owner, way), Err(Refusal::LastOwner));
    }
    // Who has promised a next key can come back, and so may give up the one in force.
    let promise = Inception { next: Some(KeyPromise::of(&key(50))), guardians: None };
    plant.takes(&owner, Body::PromiseKey(promise));
    plant.takes(&owner, Body::RevokeKey { peer: key(1) });
}

fn invitation(token: &Token, expires: i64) -> Invitation {
    Invitation {
        token: token.public(),
        role: Role::Commenter,
        scope: Some(path("Hall1").id()),
        kind: PeerKind::Person,
        expires: Timestamp::from_secs(expires),
    }
}

fn redeem(token: &Token, newcomer: u8) -> Body {
    let signature = token.redeem(SITE, &key(newcomer));
    Body::RedeemInvitation { token: token.public(), signature, name: "newcomer".into() }
}

#[test]
fn an_invitation_lets_one_person_in_once() {
    let mut plant = Plant::new();
    let token = Token::new([77; 32]);
    assert!(matches!(plant.says(&author(6), redeem(&token, 6)), Err(Refusal::Invitation(_))));
    plant.takes(&author(1), Body::Invite(invitation(&token, 1_000)));
    let stolen = redeem(&token, 6);
    assert_eq!(plant.says(&author(7), stolen), Err(Refusal::Invitation("it was not made for you")));
    plant.takes(&author(6), redeem(&token, 6));
    plant.takes(&author(6), note("Hall1"));
    assert!(matches!(plant.says(&author(6), note("Hall2")), Err(Refusal::Scope { .. })));
    assert_eq!(plant.says(&author(7), redeem(&token, 7)), Err(Refusal::Invitation("it has been used")));
}

#[test]
fn an_invitation_ends_with_the_time_of_the_log() {
    let mut plant = Plant::new();
    let token = Token::new([77; 32]);
    plant.takes(&author(1), Body::Invite(invitation(&token, 1_000)));
    plant.takes(&author(1).at(Timestamp::from_secs(1_001)), note("Hall1"));
    // A clock set back does not bring it back.
    let late = author(6).at(Timestamp::from_secs(10));
    assert_eq!(plant.says(&late, redeem(&token, 6)), Err(Refusal::Invitation("it has ended")));
    assert_eq!(plant.site().time(), Timestamp::from_secs(1_001));
}

/// The author with key 1, 2 … of its identity.
fn renewed(identity: u8, number: u32, seed: u8) -> Author {
    Author { number: KeyNumber(number), signing_key: signing(seed), ..author(identity) }
}

fn new_key(seed: u8, next: Option<u8>) -> NewKey {
    NewKey { key: key(seed), next: next.map(|next| KeyPromise::of(&key(next))) }
}

#[test]
fn a_rotated_key_counts_from_its_index_on_and_the_old_one_no_more() {
    let mut plant = Plant::new().admitted(2, Role::Commenter);
    let old = plant.sign(&author(2), note("Hall1"));
    plant.log.append(old.bytes().to_vec()).unwrap();
    plant.takes(&author(2), Body::PromiseKey(Inception { next: Some(KeyPromise::of(&key(20))), guardians: None }));
    // A thief of the key in force does not know the promised one.
    let forged = renewed(2, 1, 66);
    assert!(matches!(plant.says(&forged, Body::RotateKey(new_key(66, None))), Err(Refusal::Content(_))));
    assert!(matches!(
        plant.says(&author(2), Body::PromiseKey(Inception { next: Some(KeyPromise::of(&key(66))), guardians: None })),
        Err(Refusal::Content(_))
    ));
    plant.takes(&renewed(2, 1, 20), Body::RotateKey(new_key(20, Some(21))));
    assert_eq!(plant.says(&author(2), note("Hall1")), Err(Refusal::KeyNotInForce));
    plant.takes(&renewed(2, 1, 20), note("Hall1"));
    assert!(matches!(plant.says(&renewed(2, 1, 2), note("Hall1")), Err(Refusal::Signature)));
    // What stood in the log before stays true, and is still told where it stands.
    assert_eq!(plant.log.append(old.bytes().to_vec()), Ok(Placed::Held(4)));
    plant.takes(&renewed(2, 2, 21), Body::RotateKey(new_key(21, None)));
    assert_eq!(
        plant.says(&renewed(2, 3, 20), Body::RotateKey(new_key(20, None))),
        Err(Refusal::Content("an old key cannot come back".into()))
    );
}

#[test]
fn a_rotation_is_signed_by_the_new_key_whatever_was_handed_in_with_it() {
    let mut plant = Plant::new().admitted(2, Role::Commenter);
    plant.takes(&author(2), Body::PromiseKey(Inception { next: Some(KeyPromise::of(&key(20))), guardians: None }));
    let first = plant.sign(&renewed(2, 1, 20), Body::RotateKey(new_key(20, Some(21))));
    // By the key in force until then, which need not be in the hands of who holds the new one.
    let second = plant.sign(&renewed(2, 1, 20), Body::RotateKey(new_key(21, None)));
    let mut batched = plant.log.clone();
    let batch = [&first, &second].map(|entry| batched.preverify(entry.bytes().to_vec()));
    let batch = batch.map(|entry| batched.append_preverified(entry).is_ok());
    let one_by_one = [first, second].map(|entry| plant.log.append(entry.bytes().to_vec()).is_ok());
    assert_eq!((batch, one_by_one), ([true, false], [true, false]));
}

#[test]
fn a_revoked_key_says_nothing_until_the_promised_one_takes_over() {
    let mut plant = Plant::new().admitted(2, Role::Commenter).admitted(3, Role::Commenter);
    plant.takes(&author(2), Body::PromiseKey(Inception { next: Some(KeyPromise::of(&key(20))), guardians: None }));
    assert!(matches!(plant.says(&author(3), Body::RevokeKey { peer: key(2) }), Err(Refusal::Role { .. })));
    plant.takes(&author(1), Body::RevokeKey { peer: key(2) });
    assert_eq!(plant.says(&author(2), note("Hall1")), Err(Refusal::KeyNotInForce));
    assert!(!plant.site().may_enter(&key(2)));
    plant.takes(&renewed(2, 1, 20), Body::RotateKey(new_key(20, None)));
    plant.takes(&renewed(2, 1, 20), note("Hall1"));
}

#[test]
fn guardians_bring_an_identity_back_only_if_enough_distinct_ones_agree() {
    let mut plant = (2..6).fold(Plant::new(), |plant, seed| plant.admitted(seed, Role::Commenter));
    let mut members = vec![key(3), key(4), key(5)];
    members.sort();
    let guardians = Some(Guardians { members, needed: 2 });
    plant.takes(&author(2), Body::PromiseKey(Inception { next: None, guardians }));
    let new = new_key(30, None);
    let approve = |seed: u8, signer: u8| Approval::sign(key(seed), &signing(signer), SITE, &key(2), KeyNumber(1), &new);
    let recover = |mut approvals: Vec<Approval>| {
        approvals.sort_by_key(|a| a.guardian);
        Body::RecoverKey { new: new.clone(), approvals }
    };
    let lost = renewed(2, 1, 30);
    let refused = [
        vec![approve(3, 3)],
        vec![approve(3, 3), approve(3, 3)],
        vec![approve(3, 3), approve(4, 3)],
        vec![approve(3, 3), approve(6, 6)],
        vec![approve(3, 3), approve(1, 1)],
    ];
    for approvals in refused {
        assert!(plant.says(&lost, recover(approvals.clone())).is_err(), "{approvals:?}");
    }
    // Signed by another than the new key itself.
    assert!(plant.says(&renewed(2, 1, 31), recover(vec![approve(3, 3), approve(4, 4)])).is_err());
    plant.takes(&lost, recover(vec![approve(3, 3), approve(5, 5)]));
    plant.takes(&lost, note("Hall1"));
    assert_eq!(plant.says(&author(2), note("Hall1")), Err(Refusal::KeyNotInForce));
}

#[test]
fn only_the_host_commits_to_a_state_and_only_to_the_true_one() {
    let mut plant = Plant::new().admitted(2, Role::Owner);
    let digest = plant.site().digest();
    assert_eq!(plant.says(&author(2), Body::CommitState { digest }), Err(Refusal::NotTheHost));
    assert_eq!(plant.says(&author(1), Body::CommitState { digest: [0; 32] }), Err(Refusal::OtherState));
    plant.takes(&author(1), Body::CommitState { digest });
    assert_eq!(plant.site().committed().unwrap().digest, digest);
    assert_eq!(plant.says(&author(1), Body::CommitState { digest }), Err(Refusal::OtherState));
}

#[test]
fn a_site_from_its_snapshot_goes_on_as_the_one_it_was_made_of() {
    let mut plant = Plant::new().admitted(2, Role::Commenter);
    plant.takes(&author(2), note("Hall1"));
    let held = plant.sign(&author(2), note("Hall2"));
    plant.log.append(held.bytes().to_vec()).unwrap();
    let snapshot = plant.site().snapshot();
    let mut resumed = Log::resume(Site::from_snapshot(&snapshot).unwrap());
    assert_eq!(resumed.site().unwrap().digest(), plant.site().digest());
    assert_eq!(resumed.append(held.bytes().to_vec()), Ok(Placed::Held(5)));
    for n in 0..40u8 {
        let entry = author(2).sign(note("Hall1/Robot1"), EntryId([100 + n; 16]));
        assert_eq!(resumed.append(entry.bytes().to_vec()), plant.log.append(entry.bytes().to_vec()));
        assert_eq!(resumed.root(), plant.log.root());
    }
    assert_eq!(resumed.site().unwrap().digest(), plant.site().digest());
    for end in 0..snapshot.len() {
        assert!(Site::from_snapshot(&snapshot[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn a_thing_of_another_site_or_none_is_refused_everywhere() {
    let mut plant = Plant::new();
    let nowhere = ThingId([9; 16]);
    let bodies = [
        Body::note(nowhere, "hm"),
        Body::GrantRole { peer: key(1), grant: Grant { role: Role::Editor, scope: Some(nowhere) } },
        Body::RevokeRole { peer: key(1), scope: Some(nowhere) },
        Body::RevokeKey { peer: key(9) },
        Body::GrantRole { peer: key(9), grant: Grant { role: Role::Editor, scope: None } },
    ];
    for body in bodies {
        assert!(matches!(plant.says(&author(1), body), Err(Refusal::Unknown(_))));
    }
}

#[test]
fn a_weak_key_is_refused_wherever_a_key_is_registered() {
    // The neutral element of the curve, a point of order four, and no point at all: what has a signature of anybody's.
    let weak = [1, 0, 2].map(|first: u8| {
        let mut bytes = [0; 32];
        bytes[0] = first;
        PeerKey(bytes)
    });
    for weak in weak {
        let member = Member { name: "w.example".into(), key: weak, url: "http://w.example".into() };
        let policy = SitePolicy { witnesses: vec![member], witnesses_needed: 1, ..SitePolicy::default() };
        let invitation = Invitation { token: weak, ..invitation(&Token::new([77; 32]), 1_000) };
        let bodies = [
            Body::Admit { peer: weak, kind: PeerKind::Device, name: "x".into(), role: Role::Viewer },
            Body::Invite(invitation),
            Body::SetPolicy(policy),
        ];
        let mut plant = Plant::new();
        for body in bodies {
            assert!(matches!(plant.says(&author(1), body), Err(Refusal::WeakKey | Refusal::Content(_))), "{weak}");
        }
        // Who promises one cannot go on with it.
        let mut plant = plant.admitted(2, Role::Viewer);
        let promise = Inception { next: Some(KeyPromise::of(&weak)), guardians: None };
        plant.takes(&author(2), Body::PromiseKey(promise));
        let rotate = Body::RotateKey(NewKey { key: weak, next: None });
        assert!(plant.says(&renewed(2, 1, 20), rotate).is_err());
        let found = author(1).sign(Body::Found { name: "Plant".into(), host: weak }, EntryId([0; 16]));
        assert_eq!(Log::new().append_signed(found), Err(Refusal::WeakKey));
    }
}

fn host(seed: u8) -> SiteHost {
    SiteHost { key: key(seed), place: format!("10.0.0.{seed}:7440") }
}

/// The plant of host 1, which hosts 2 and 3 may succeed.
fn with_heirs() -> Plant {
    let mut plant = Plant::new();
    for seed in [2, 3] {
        let (peer, name) = (key(seed), format!("host {seed}"));
        plant.takes(&author(1), Body::Admit { peer, kind: PeerKind::Host, name, role: Role::Viewer });
    }
    plant.takes(&author(1), Body::NameHosts { hosts: vec![host(1), host(2), host(3)] });
    plant
}

#[test]
fn of_two_hosts_that_succeed_only_the_first_stands_and_the_host_before_it_is_host_no_more() {
    let mut plant = with_heirs();
    assert_eq!((plant.site().epoch(), plant.site().heir()), (0, Some(&host(2))));
    plant.takes(&author(2), Body::Succeed { of: key(1), epoch: 1 });
    assert_eq!((plant.site().host(), plant.site().epoch(), plant.site().heir()), (key(2), 1, Some(&host(1))));
    let late = plant.says(&author(3), Body::Succeed { of: key(1), epoch: 1 });
    assert!(matches!(late, Err(Refusal::Content(_))), "{late:?}");
    let digest = plant.site().digest();
    assert_eq!(plant.says(&author(1), Body::CommitState { digest }), Err(Refusal::NotTheHost));
    let digest = plant.site().digest();
    plant.takes(&author(2), Body::CommitState { digest });
    plant.takes(&author(1), Body::Succeed { of: key(2), epoch: 2 });
    assert_eq!((plant.site().host(), plant.site().epoch()), (key(1), 2));
}

#[test]
fn nobody_succeeds_whom_no_owner_has_named_or_itself_or_in_another_epoch() {
    let mut plant = with_heirs();
    plant = plant.admitted(4, Role::Owner);
    assert_eq!(plant.says(&author(4), Body::Succeed { of: key(1), epoch: 1 }), Err(Refusal::NotTheHost));
    for (seed, of, epoch) in [(1, 1, 1), (2, 3, 1), (2, 1, 0), (2, 1, 2)] {
        let said = plant.says(&author(seed), Body::Succeed { of: key(of), epoch });
        assert!(matches!(said, Err(Refusal::Content(_))), "{seed} {of} {epoch}: {said:?}");
    }
    plant.takes(&author(4), Body::NameHosts { hosts: vec![host(3), host(1)] });
    assert_eq!(plant.says(&author(2), Body::Succeed { of: key(1), epoch: 1 }), Err(Refusal::NotTheHost));
    plant.takes(&author(3), Body::Succeed { of: key(1), epoch: 1 });
}

#[test]
fn a_sites_hosts_are_admitted_as_hosts_none_twice_and_the_present_one_among_them() {
    let mut plant = with_heirs().admitted(5, Role::Editor);
    assert!(matches!(plant.says(&author(2), Body::NameHosts { hosts: vec![] }), Err(Refusal::Role { .. })));
    let elsewhere = SiteHost { place: "nowhere".into(), ..host(2) };
    for hosts in [vec![host(2)], vec![host(1), host(2), host(2)], vec![host(1), elsewhere]] {
        let said = plant.says(&author(1), Body::NameHosts { hosts });
        assert!(matches!(said, Err(Refusal::Content(_))), "{said:?}");
    }
    let a_person = vec![host(1), host(5)];
    assert!(matches!(plant.says(&author(1), Body::NameHosts { hosts: a_person }), Err(Refusal::Unknown(_))));
    plant.takes(&author(1), Body::NameHosts { hosts: vec![] });
    assert_eq!((plant.site().hosts(), plant.site().heir()), (&[][..], None));
}
