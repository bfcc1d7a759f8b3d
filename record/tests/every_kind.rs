//! Every kind of entry there is: one form each, one meaning for ever, in whatever batches it comes and from whatever
//! snapshot a site goes on.

#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use ed25519_dalek::SigningKey;
use gemba_record::author::Author;
use gemba_record::body::{BlobHash, Body};
use gemba_record::command::{AlarmAck, Command, CommandOutcome, Outcome};
use gemba_record::edit::{Change, Edit, NewThing};
use gemba_record::entry::{EntryId, KeyNumber, Seen, SiteId, UnverifiedEntry};
use gemba_record::identity::{Approval, Guardians, Inception, KeyPromise, NewKey};
use gemba_record::invitation::{Invitation, Token};
use gemba_record::log::Log;
use gemba_record::policy::{Member, SitePolicy};
use gemba_record::role::{Grant, Role};
use gemba_record::segment::{DeviceRoot, Segment};
use gemba_record::site::Site;
use gemba_record::succession::SiteHost;
use gemba_twin::binding::{Binding, Target};
use gemba_twin::path::{ThingId, ThingPath};
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::place::Placement;
use gemba_twin::sample::{Timestamp, Value, ValueKind};
use gemba_twin::tag::{Range, Tag, Unit};
use gemba_twin::thing::{Class, Level, Thing};
use gemba_twin::viewpoint::{Section, Viewpoint};
use proptest::prelude::*;

const SITE: SiteId = SiteId([5; 16]);
const MODEL: [u8; 32] = [0xab; 32];
const BLOB: [u8; 32] = [0xcd; 32];

fn signing(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn author(seed: u8) -> Author {
    Author::new(signing(seed), SITE)
}

fn key(seed: u8) -> PeerKey {
    author(seed).identity
}

/// The author with a later key of its identity.
fn renewed(identity: u8, number: u32, seed: u8) -> Author {
    Author { number: KeyNumber(number), signing_key: signing(seed), ..author(identity) }
}

fn path(text: &str) -> ThingPath {
    text.parse().unwrap()
}

/// A log that grows by what is said.
struct Telling {
    log: Log,
    entries: Vec<Vec<u8>>,
}

impl Telling {
    #[track_caller]
    fn say(&mut self, author: &Author, body: Body) -> EntryId {
        let id = EntryId([self.entries.len() as u8 + 1; 16]);
        let entry = author.sign(body, id).into_parts().0;
        self.log.append(entry.clone()).unwrap();
        self.entries.push(entry);
        id
    }

    fn edit(&mut self, change: Change, undoes: Option<EntryId>) -> EntryId {
        let (thing, based_on) = (path("Hall/A").id(), self.log.entries());
        self.say(&author(1), Body::EditThing(Edit { thing, based_on, change, undoes }))
    }
}

/// Owner 1, gateway 2, commenter 3 with guardians 1 and 4, guest 5.
fn every_kind() -> Vec<Vec<u8>> {
    let mut telling = Telling { log: Log::new(), entries: Vec::new() };
    let (owner, gateway, device_key) = (author(1), author(2), key(2));
    let thing = |text: &str| {
        let tag = path(text).tag("Angle").unwrap();
        let binding = Binding { tag, target: Target::RotateY, scale: 0.5, offset: -1.0 };
        Thing { path: path(text), level: Level::Unit, class: Class::Robot, bindings: vec![binding] }
    };
    telling.say(&owner, Body::Found { name: "Plant".into(), host: owner.key() });
    for (peer, kind, role) in [
        (device_key, PeerKind::Device, Role::Editor),
        (key(3), PeerKind::Person, Role::Commenter),
        (key(4), PeerKind::Organisation, Role::Operator),
    ] {
        telling.say(&owner, Body::Admit { peer, kind, name: "somebody".into(), role });
    }
    telling.say(&owner, Body::ImportModel { blob: MODEL, bytes: 1234, name: "plant.glb".into() });
    telling.say(&owner, Body::AddThings { model: MODEL, things: ["Hall", "Hall/A"].map(thing).to_vec() });
    let tag = Tag {
        path: "Hall/A/Angle".parse().unwrap(),
        kind: ValueKind::Float,
        unit: Unit::new("°"),
        range: Range::new(0.0, 90.0),
        writable: true,
    };
    telling.say(&gateway, Body::DeclareTags { tags: vec![tag.clone()] });
    let spot = Some([0.5, -1.0, 2.25]);
    let note = telling.say(&author(3), Body::AddNote { thing: path("Hall/A").id(), text: "squeaks".into(), spot });
    telling.say(&author(3), Body::ResolveNote { note, resolved: true });
    let place = Placement { position: [1.0, 0.0, -2.5], ..Placement::default() };
    let like = Some(path("Hall/A").id());
    telling.say(&owner, Body::CreateThing(NewThing { id: ThingId([7; 16]), thing: thing("Hall/C"), place, like }));
    let moved = telling.edit(Change::Move(Some(place)), None);
    telling.edit(Change::Move(None), Some(moved));
    telling.edit(Change::Rename("Robot".into()), None);
    telling.edit(Change::Reparent(None), None);
    telling.edit(Change::Reparent(Some(path("Hall").id())), None);
    telling.edit(Change::Retire(true), None);
    telling.edit(Change::Bind(Vec::new()), None);
    telling.edit(Change::Classify(Level::Part, Class::Tank), None);
    let section = Some(Section { normal: [0.0, 1.0, 0.0], distance: 1.5 });
    let viewpoint = Viewpoint {
        eye: [1.0, 2.0, 3.0],
        target: [0.0; 3],
        field_of_view: 1.0,
        hidden: vec![ThingId([7; 16])],
        selected: vec![path("Hall").id()],
        section,
        instant: Some(Timestamp::from_secs(1_790_000_000)),
    };
    let kept = telling.say(&author(3), Body::SaveViewpoint { name: "from above".into(), viewpoint });
    telling.say(&author(3), Body::RemoveViewpoint { viewpoint: kept });
    commands(&mut telling, &tag);
    let raised = Timestamp::from_secs(1_790_000_000);
    telling.say(&author(4), Body::AckAlarm(AlarmAck { thing: path("Hall").id(), raised, text: "seen".into() }));
    people(&mut telling);
    proofs(&mut telling, raised);
    hosts(&mut telling);
    telling.entries
}

/// A command for each outcome.
fn commands(telling: &mut Telling, tag: &Tag) {
    let gateway = author(2);
    for (outcome, value) in
        [Outcome::Done, Outcome::Failed("jammed".into()), Outcome::Expired].into_iter().zip([1.5, -1.0, 0.0])
    {
        let until = Timestamp::from_secs(1_790_000_060);
        let command = Command { tag: tag.path.clone(), value: Value::Float(value), until };
        let command = telling.say(&author(4), Body::CommandDevice(command));
        telling.say(&gateway, Body::ReportOutcome(CommandOutcome { command, outcome }));
    }
}

/// What the host and the gateway vouch for, and who else must.
fn proofs(telling: &mut Telling, raised: Timestamp) {
    let (owner, gateway, device_key) = (author(1), author(2), key(2));
    let digest = telling.log.site().unwrap().digest();
    telling.say(&owner, Body::CommitState { digest });
    let devices = vec![DeviceRoot { device: device_key, root: [9; 32] }];
    let (from, to) = (raised, raised.plus_micros(300_000_000));
    telling.say(&gateway, Body::AddSegment(Segment { blob: BLOB, bytes: 99, samples: 12, from, to, devices }));
    telling.say(&gateway, Body::DropSegments { blobs: vec![BlobHash(BLOB)] });
    let member = |seed: u8, what: &str| Member {
        name: format!("{what}.example/gemba"),
        key: key(seed),
        url: format!("https://{what}.example/gemba"),
    };
    telling.say(
        &owner,
        Body::SetPolicy(SitePolicy {
            witnesses: vec![member(40, "witness"), member(41, "other")],
            witnesses_needed: 2,
            mirrors: vec![member(42, "mirror")],
            mirrors_needed: 1,
        }),
    );
}

/// Hosts, of which one succeeds the other.
fn hosts(telling: &mut Telling) {
    let role = Role::Owner;
    telling.say(&author(1), Body::Admit { peer: key(50), kind: PeerKind::Host, name: "second".into(), role });
    let host = |seed: u8, place: &str| SiteHost { key: key(seed), place: place.into() };
    let hosts = vec![host(1, "10.0.0.5:7440"), host(50, "[fe80::1]:7440")];
    telling.say(&author(1), Body::NameHosts { hosts });
    telling.say(&author(50), Body::Succeed { of: key(1), epoch: 1 });
}

/// Roles, invitations and keys.
fn people(telling: &mut Telling) {
    let owner = author(1).at(Timestamp::from_secs(1_790_000_100));
    let scope = Some(path("Hall").id());
    telling.say(&owner, Body::GrantRole { peer: key(3), grant: Grant { role: Role::Editor, scope } });
    telling.say(&owner, Body::RevokeRole { peer: key(3), scope });
    let token = Token::new([77; 32]);
    telling.say(
        &owner,
        Body::Invite(Invitation {
            token: token.public(),
            role: Role::Viewer,
            scope,
            kind: PeerKind::Person,
            expires: Timestamp::from_secs(1_790_086_400),
        }),
    );
    let signature = token.redeem(SITE, &key(5));
    telling.say(&author(5), Body::RedeemInvitation { token: token.public(), signature, name: "guest".into() });
    let mut members = vec![key(1), key(4)];
    members.sort();
    let guardians = Some(Guardians { members, needed: 2 });
    let tree = telling.log.site().unwrap().tree().clone();
    let seen = Some(Seen { size: tree.size(), root: tree.root() });
    let next = Some(KeyPromise::of(&key(30)));
    telling.say(&Author { seen, ..author(3) }, Body::PromiseKey(Inception { next, guardians }));
    telling.say(&renewed(3, 1, 30), Body::RotateKey(NewKey { key: key(30), next: None }));
    telling.say(&owner, Body::RevokeKey { peer: key(3) });
    let new = NewKey { key: key(31), next: Some(KeyPromise::of(&key(32))) };
    let approve = |seed| Approval::sign(key(seed), &signing(seed), SITE, &key(3), KeyNumber(2), &new);
    let mut approvals = vec![approve(1), approve(4)];
    approvals.sort_by_key(|approval| approval.guardian);
    telling.say(&renewed(3, 2, 31), Body::RecoverKey { new, approvals });
}

/// `BLESS=1 cargo test -p gemba-record` writes the golden file anew; only entries of a new kind, at the end, may need it.
#[test]
fn every_kind_of_entry_keeps_its_bytes_for_ever() {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n";
    let mut made: String = every_kind().iter().map(|entry| hex(entry)).collect();
    made += &hex(&Log::replay(every_kind()).unwrap().site().unwrap().digest());
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden_every_kind.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(file, &made).unwrap();
    }
    let golden = std::fs::read_to_string(file).unwrap();
    assert_eq!(made, golden, "the format changed: records of today would no longer verify or fold to the same state");
}

#[test]
fn there_is_one_entry_of_every_kind() {
    let mut kinds: Vec<u32> = every_kind()
        .into_iter()
        .map(|entry| {
            let body = UnverifiedEntry::read(entry).unwrap().entry().body.clone();
            let bytes = minicbor::to_vec(&body).unwrap();
            let mut decoder = minicbor::Decoder::new(&bytes);
            decoder.array().unwrap();
            decoder.u32().unwrap()
        })
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, (0..=27).collect::<Vec<_>>());
}

#[test]
fn a_site_goes_on_from_a_snapshot_after_any_entry_as_if_it_had_folded_all() {
    let entries = every_kind();
    let whole = Log::replay(entries.clone()).unwrap();
    let mut log = Log::new();
    for (at, entry) in entries.iter().enumerate() {
        log.append(entry.clone()).unwrap();
        let resumed = Site::from_snapshot(&log.site().unwrap().snapshot()).unwrap();
        assert_eq!(resumed.digest(), log.site().unwrap().digest());
        let mut resumed = Log::resume(resumed);
        for entry in &entries[at + 1..] {
            resumed.append(entry.clone()).unwrap();
        }
        assert_eq!(resumed.root(), whole.root());
        assert_eq!(resumed.site().unwrap().digest(), whole.site().unwrap().digest(), "from a snapshot of {}", at + 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn batches_and_the_order_in_which_signatures_are_looked_at_change_nothing(
        cuts in proptest::collection::vec(1usize..50, 0..6),
        backwards in any::<bool>(),
        doubled in proptest::collection::vec(0usize..60, 0..6),
    ) {
        let entries = every_kind();
        let whole = Log::replay(entries.clone()).unwrap();
        // Sent twice, in the same batch or a later one: it stands once.
        let mut sent = entries.clone();
        doubled.iter().filter(|at| **at < entries.len()).for_each(|at| sent.push(entries[*at].clone()));
        let mut log = Log::new();
        log.append(sent.remove(0)).unwrap();
        for size in cuts.into_iter().chain([usize::MAX]) {
            let batch: Vec<_> = sent.drain(..size.min(sent.len())).collect();
            let mut verified: Vec<_> = if backwards {
                batch.into_iter().rev().map(|entry| log.preverify(entry)).collect()
            } else {
                batch.into_iter().map(|entry| log.preverify(entry)).collect()
            };
            if backwards {
                verified.reverse();
            }
            for entry in verified {
                prop_assert!(log.append_preverified(entry).is_ok());
            }
        }
        prop_assert_eq!(log.entries(), whole.entries());
        prop_assert_eq!(log.root(), whole.root());
        prop_assert_eq!(log.site().unwrap().digest(), whole.site().unwrap().digest());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_other_bytes_say_what_an_entry_says(
        which in 0usize..1000,
        at in 0usize..10_000,
        with in proptest::collection::vec(any::<u8>(), 0..4),
        cut in 0usize..4,
    ) {
        let entries = entries_once();
        let bytes = &entries[which % entries.len()];
        let original = UnverifiedEntry::read(bytes.clone()).unwrap();
        let at = at % bytes.len();
        let mut other = bytes.clone();
        other.splice(at..(at + cut).min(bytes.len()), with);
        if let Ok(read) = UnverifiedEntry::read(other.clone()) {
            let (signature, held) = (&other[other.len() - 64..], &bytes[bytes.len() - 64..]);
            prop_assert!(other == *bytes || read.entry() != original.entry() || signature != held);
            prop_assert_eq!(read.bytes(), &other[..], "what is read is kept as it was sent");
        }
    }
}

/// Made once: the signatures take a while.
fn entries_once() -> &'static [Vec<u8>] {
    static ENTRIES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    ENTRIES.get_or_init(every_kind)
}
