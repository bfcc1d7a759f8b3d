//! Properties of the record as a whole: what is appended folds and proves, what is altered or forged is refused.

#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use ed25519_dalek::SigningKey;
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::checkpoint::{self, Checkpoint, CheckpointError};
use gemba_record::entry::{EntryId, SignedEntry, SiteId, UnverifiedEntry};
use gemba_record::log::Log;
use gemba_record::merkle::{Tree, leaf_hash, verify_consistency, verify_inclusion};
use gemba_record::refusal::Refusal;
use gemba_record::role::Role;
use gemba_record::site::Placed;
use gemba_twin::binding::{Binding, Target};
use gemba_twin::path::{TagId, ThingPath};
use gemba_twin::peer::PeerKind;
use gemba_twin::sample::ValueKind;
use gemba_twin::tag::{Range, Tag, Unit};
use gemba_twin::thing::{Class, Level, Thing};
use proptest::prelude::*;

const SITE: SiteId = SiteId([5; 16]);
const MODEL: [u8; 32] = [0xab; 32];

fn author(seed: u8) -> Author {
    Author::new(SigningKey::from_bytes(&[seed; 32]), SITE)
}

fn id(n: u32) -> EntryId {
    let mut id = [0; 16];
    id[12..].copy_from_slice(&n.to_be_bytes());
    EntryId(id)
}

fn path(text: &str) -> ThingPath {
    text.parse().unwrap()
}

fn tag(text: &str) -> Tag {
    Tag {
        path: text.parse().unwrap(),
        kind: ValueKind::Float,
        unit: Unit::new("°C"),
        range: Range::new(0.0, 90.0),
        writable: true,
    }
}

fn thing(text: &str) -> Thing {
    let tag = path(text).tag("Angle").unwrap();
    let binding = Binding { tag, target: Target::RotateY, scale: 0.5, offset: -1.0 };
    Thing { path: path(text), level: Level::Unit, class: Class::Robot, bindings: vec![binding] }
}

/// One entry of each kind, in an order that a log takes: owner 1, device 2, commenter 3.
fn one_of_each() -> Vec<SignedEntry> {
    let admit =
        |seed: u8, kind, name: &str, role| Body::Admit { peer: author(seed).key(), kind, name: name.into(), role };
    let owner = author(1);
    vec![
        owner.sign(Body::Found { name: "Plant".into(), host: owner.key() }, id(0)),
        owner.sign(admit(2, PeerKind::Device, "gateway", Role::Editor), id(1)),
        owner.sign(admit(3, PeerKind::Person, "Aiko", Role::Commenter), id(2)),
        owner.sign(Body::ImportModel { blob: MODEL, bytes: 1234, name: "plant.glb".into() }, id(3)),
        owner.sign(Body::AddThings { model: MODEL, things: vec![thing("Hall1/Robot1"), thing("Hall1/Robot2")] }, id(4)),
        author(2).sign(Body::DeclareTags { tags: vec![tag("Hall1/Robot1/Angle"), tag("Hall1/Robot1/Load")] }, id(5)),
        author(3).sign(Body::note(path("Hall1/Robot1").id(), "It squeaks."), id(6)),
    ]
}

fn log_of(entries: &[SignedEntry]) -> Log {
    Log::replay(entries.iter().map(|e| e.bytes().to_vec())).unwrap()
}

fn refused(log: &mut Log, entry: SignedEntry) -> Refusal {
    let before = (log.entries(), log.root(), log.site().unwrap().digest());
    let why = log.append_signed(entry).unwrap_err();
    assert_eq!(before, (log.entries(), log.root(), log.site().unwrap().digest()), "a refusal changes nothing");
    why
}

#[test]
fn a_site_holds_what_its_entries_say() {
    let log = log_of(&one_of_each());
    let site = log.site().unwrap();
    assert_eq!((site.name(), site.entries(), site.host()), ("Plant", 7, author(1).key()));
    assert_eq!(site.peer(&author(1).key()).unwrap().role(), Some(Role::Owner));
    assert_eq!(site.peer(&author(2).key()).unwrap().kind, PeerKind::Device);
    assert_eq!(site.things().len(), 2);
    assert_eq!(site.thing_at(&path("Hall1/Robot2")).unwrap().thing, thing("Hall1/Robot2"));
    assert_eq!(site.model_of(path("Hall1/Robot2").id()).unwrap().name, "plant.glb");
    assert_eq!(site.tag_at(&"Hall1/Robot1/Load".parse().unwrap()), Some(TagId(1)));
    assert_eq!(site.tag(TagId(1)).unwrap().unit.symbol(), "°C");
    assert_eq!(site.notes()[0].text, "It squeaks.");
    assert_eq!(site.notes()[0].author, author(3).key());
}

/// `BLESS=1 cargo test -p gemba-record` writes the golden files anew; only a new format version may need it.
#[test]
fn entries_keep_their_bytes_for_ever() {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n";
    let mut made: String = one_of_each().iter().map(|e| hex(e.bytes())).collect();
    made += &hex(&log_of(&one_of_each()).site().unwrap().digest());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt"), &made).unwrap();
    }
    let golden = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt")).unwrap();
    assert_eq!(made, golden, "the format changed: records of today would no longer verify or fold to the same state");
}

#[test]
fn the_same_entry_twice_stands_once_and_the_same_id_with_other_bytes_is_refused() {
    let entries = one_of_each();
    let mut log = log_of(&entries);
    for (index, entry) in (0..).zip(&entries) {
        assert_eq!(log.append(entry.bytes().to_vec()), Ok(Placed::Held(index)));
    }
    let other = author(3).sign(Body::note(path("Hall1/Robot1").id(), "No, it sings."), id(6));
    assert_eq!(refused(&mut log, other), Refusal::IdTaken);
    let doubled = entries.iter().chain(&entries[6..]).map(|e| e.bytes().to_vec());
    assert_eq!(Log::replay(doubled).unwrap_err().index, 7);
}

#[test]
fn who_is_not_admitted_or_has_too_low_a_role_is_refused() {
    let mut log = log_of(&one_of_each());
    let note = || Body::note(path("Hall1/Robot1").id(), "Hi");
    assert_eq!(refused(&mut log, author(9).sign(note(), id(50))), Refusal::NotAdmitted);
    let admit = |role| Body::Admit { peer: author(9).key(), kind: PeerKind::Person, name: "Eve".into(), role };
    let too_low = Refusal::Role { has: Role::Commenter, needs: Role::Owner };
    assert_eq!(refused(&mut log, author(3).sign(admit(Role::Owner), id(51))), too_low);
    let add = Body::AddThings { model: MODEL, things: vec![thing("Hall2")] };
    assert!(matches!(refused(&mut log, author(3).sign(add, id(52))), Refusal::Role { .. }));
    let tags = || Body::DeclareTags { tags: vec![tag("Hall1/Robot2/Angle")] };
    assert_eq!(refused(&mut log, author(1).sign(tags(), id(53))), Refusal::NoDevice);
    log.append_signed(author(1).sign(admit(Role::Viewer), id(54))).unwrap();
    assert!(matches!(refused(&mut log, author(9).sign(note(), id(55))), Refusal::Role { .. }));
}

#[test]
fn a_tag_keeps_its_number_and_its_device() {
    let mut log = log_of(&one_of_each());
    let mut renewed = tag("Hall1/Robot1/Load");
    renewed.unit = Unit::new("%");
    let more = Body::DeclareTags { tags: vec![tag("Hall1/Robot2/Angle"), renewed.clone()] };
    log.append_signed(author(2).sign(more, id(60))).unwrap();
    let site = log.site().unwrap();
    assert_eq!(site.tag_at(&renewed.path), Some(TagId(1)));
    assert_eq!(site.tag(TagId(1)), Some(&renewed));
    assert_eq!(site.tag_device(TagId(1)), Some(author(2).key()));
    assert_eq!(site.tag_at(&"Hall1/Robot2/Angle".parse().unwrap()), Some(TagId(2)));
    let admit = Body::Admit { peer: author(4).key(), kind: PeerKind::Device, name: "other".into(), role: Role::Editor };
    log.append_signed(author(1).sign(admit, id(61))).unwrap();
    let stolen = Body::DeclareTags { tags: vec![renewed] };
    assert_eq!(refused(&mut log, author(4).sign(stolen, id(62))), Refusal::TagOfAnother("Hall1/Robot1/Load".into()));
}

#[test]
fn the_last_owner_stays_and_content_no_site_can_hold_is_refused() {
    let mut log = log_of(&one_of_each());
    let owner = author(1);
    let admit = |peer, role| Body::Admit { peer, kind: PeerKind::Person, name: "x".into(), role };
    assert_eq!(refused(&mut log, owner.sign(admit(owner.key(), Role::Viewer), id(70))), Refusal::LastOwner);
    // The neutral element of the curve: every message has a valid signature under it.
    let mut weak = [0; 32];
    weak[0] = 1;
    assert_eq!(
        refused(&mut log, owner.sign(admit(gemba_twin::peer::PeerKey(weak), Role::Viewer), id(71))),
        Refusal::WeakKey
    );
    let bad = [
        Body::AddThings { model: [0; 32], things: vec![thing("Hall2")] },
        Body::AddThings { model: MODEL, things: vec![] },
        Body::AddThings { model: MODEL, things: vec![thing("Hall2"), thing("Hall2")] },
        Body::AddThings { model: MODEL, things: vec![thing("Hall2"); 1001] },
        Body::note(path("Nowhere").id(), "Hi"),
        Body::note(path("Hall1/Robot1").id(), ""),
        Body::ImportModel { blob: [1; 32], bytes: 0, name: "x.glb".into() },
        Body::ImportModel { blob: [1; 32], bytes: 9, name: "a\nb".into() },
        Body::Found { name: "again".into(), host: owner.key() },
    ];
    for (n, body) in (80..).zip(bad) {
        refused(&mut log, owner.sign(body, id(n)));
    }
    let elsewhere = Author { site: SiteId([6; 16]), ..owner.clone() };
    let note = Body::note(path("Hall1/Robot1").id(), "Hi");
    assert_eq!(refused(&mut log, elsewhere.sign(note, id(99))), Refusal::OtherSite);
}

#[test]
fn a_record_begins_with_its_founding() {
    let note = author(3).sign(Body::note(path("Hall1").id(), "Hi"), id(1));
    assert_eq!(Log::new().append_signed(note), Err(Refusal::NotFounded));
}

#[test]
fn any_flipped_bit_of_an_entry_is_refused() {
    let mut log = Log::new();
    for entry in one_of_each() {
        for bit in 0..entry.bytes().len() * 8 {
            let mut bytes = entry.bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(log.append(bytes).is_err(), "bit {bit} of {:?}", entry.entry().id);
        }
        log.append_signed(entry).unwrap();
    }
}

#[test]
fn an_entry_in_any_other_encoding_is_refused() {
    let entry = &one_of_each()[6];
    let bytes = entry.bytes();
    let mut long = bytes.to_vec();
    // The algorithm number 1 stands behind its key 1; 0x18 0x01 is the same number in two bytes.
    let at = bytes.len() - 68;
    assert_eq!(bytes[at - 1..at + 1], [1, 1], "the layout of the envelope");
    long.splice(at..at + 1, [0x18, 1]);
    assert_eq!(UnverifiedEntry::read(long), Err(Refusal::NotCanonical));
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert!(matches!(UnverifiedEntry::read(longer), Err(Refusal::Unreadable(_))));
    assert!(matches!(UnverifiedEntry::read(vec![0; 65_536]), Err(Refusal::TooLarge(_))));
}

#[test]
fn things_are_split_into_entries_that_fit() {
    let long = "x".repeat(900);
    let things: Vec<Thing> = (0..2500).map(|n| thing(&format!("Hall1/{long}{n}"))).collect();
    let bodies = Body::add_things(MODEL, things.clone());
    let mut log = log_of(&one_of_each());
    for (n, body) in (100..).zip(bodies) {
        log.append(author(1).sign(body, id(n)).bytes().to_vec()).unwrap();
    }
    let held: Vec<Thing> = log.site().unwrap().things()[2..].iter().map(|t| t.thing.clone()).collect();
    assert_eq!(held, things);
    assert!(Body::add_things(MODEL, vec![]).is_empty());
}

#[test]
fn the_tree_hash_is_that_of_rfc_9162() {
    // Roots of the seven first trees over the test leaves that certificate transparency's implementations share.
    let leaves: [&[u8]; 3] = [b"", b"\x00", b"\x10"];
    let mut tree = Tree::default();
    let hex = |h: [u8; 32]| h.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(hex(tree.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    ];
    for (leaf, root) in leaves.iter().zip(roots) {
        tree.push(leaf_hash(leaf));
        assert_eq!(hex(tree.root()), root);
    }
}

#[test]
fn a_checkpoint_verifies_and_an_altered_one_does_not() {
    let log = log_of(&one_of_each());
    let origin = checkpoint::origin(SITE);
    let key = author(1);
    let stated = Checkpoint { origin: origin.clone(), size: log.entries(), root: log.root() };
    let note = stated.sign(&key.signing_key);
    assert_eq!(Checkpoint::verify(&note, &origin, &key.key()), Ok(stated.clone()));
    assert_eq!(Checkpoint::verify(&note, &origin, &author(2).key()), Err(CheckpointError::Unsigned));
    assert_eq!(Checkpoint::verify(&note, "gemba/site/else", &key.key()), Err(CheckpointError::Origin));
    let larger = note.replacen("\n7\n", "\n8\n", 1);
    assert_ne!(larger, note);
    assert_eq!(Checkpoint::verify(&larger, &origin, &key.key()), Err(CheckpointError::Signature));
    assert!(Checkpoint::verify(&note.replacen("\n7\n", "\n07\n", 1), &origin, &key.key()).is_err());
    let two_signers = format!("{note}\u{2014} example.com/witness AAAAAAAA\n");
    assert_eq!(Checkpoint::verify(&two_signers, &origin, &key.key()), Ok(stated));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_never_panic_the_decoders(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(UnverifiedEntry::read(bytes.clone()).is_err());
        let _ = Checkpoint::verify(&String::from_utf8_lossy(&bytes), "x", &author(1).key());
    }

    #[test]
    fn altered_entries_never_panic_the_decoder(which in 0usize..7, at in 0usize..4000, with in any::<u32>(), cut in 0usize..4000) {
        let mut bytes = one_of_each()[which].bytes().to_vec();
        let original = bytes.clone();
        let at = at % (bytes.len() - 4);
        bytes[at..at + 4].copy_from_slice(&with.to_be_bytes());
        bytes.truncate(bytes.len().min(cut + 1));
        let mut log = log_of(&one_of_each()[..which]);
        prop_assert!(bytes == original || log.append(bytes).is_err());
    }

    #[test]
    fn the_fold_is_the_same_for_any_batches(notes in proptest::collection::vec((1u8..5, "[a-z]{1,12}"), 1..30), cuts in proptest::collection::vec(0usize..40, 0..5)) {
        let mut entries: Vec<Vec<u8>> = one_of_each().iter().map(|e| e.bytes().to_vec()).collect();
        for (n, (seed, text)) in (200..).zip(notes) {
            let note = Body::note(path("Hall1/Robot1").id(), text);
            entries.push(author(seed).sign(note, id(n)).bytes().to_vec());
        }
        let mut whole = Log::new();
        let taken: Vec<Vec<u8>> = entries.into_iter().filter(|e| whole.append(e.clone()).is_ok()).collect();
        // Author 4 is a stranger, and so is refused; all others may leave notes.
        let mut batched = Log::new();
        let mut rest = taken.as_slice();
        for cut in cuts {
            let (batch, tail) = rest.split_at(cut.min(rest.len()));
            batch.iter().for_each(|e| { batched.append(e.clone()).unwrap(); });
            rest = tail;
        }
        rest.iter().for_each(|e| { batched.append(e.clone()).unwrap(); });
        prop_assert_eq!(whole.root(), batched.root());
        prop_assert_eq!(whole.site().unwrap().digest(), batched.site().unwrap().digest());
        prop_assert_eq!(whole.entries(), taken.len() as u64);
    }

    #[test]
    fn inclusion_proofs_hold_and_altered_ones_do_not(size in 1u64..200, index in 0u64..200, more in 0u64..60, flip in any::<u16>()) {
        let index = index % size;
        let tree = tree_of(size + more);
        let root = tree.root_at(size).unwrap();
        let leaf = leaf_hash(&index.to_be_bytes());
        let mut proof = tree.inclusion(index, size).unwrap();
        prop_assert!(verify_inclusion(&leaf, index, size, &proof, &root));
        prop_assert!(!verify_inclusion(&leaf_hash(b"another"), index, size, &proof, &root));
        prop_assert!(!verify_inclusion(&leaf, index + 1, size, &proof, &root));
        let mut longer = proof.clone();
        longer.push([0; 32]);
        prop_assert!(!verify_inclusion(&leaf, index, size, &longer, &root));
        if let Some(count) = proof.len().checked_sub(1) {
            proof[usize::from(flip) % (count + 1)][usize::from(flip >> 8) % 32] ^= 1;
            prop_assert!(!verify_inclusion(&leaf, index, size, &proof, &root));
        }
    }

    #[test]
    fn consistency_proofs_hold_and_altered_ones_do_not(old in 0u64..200, more in 0u64..200, flip in any::<u16>()) {
        let new = old + more;
        let tree = tree_of(new);
        let (old_root, new_root) = (tree.root_at(old).unwrap(), tree.root());
        let mut proof = tree.consistency(old, new).unwrap();
        prop_assert!(verify_consistency(old, &old_root, new, &new_root, &proof));
        if old > 0 {
            prop_assert!(!verify_consistency(old, &[7; 32], new, &new_root, &proof));
        }
        if let Some(count) = proof.len().checked_sub(1) {
            prop_assert!(!verify_consistency(old, &old_root, new, &[7; 32], &proof));
            proof[usize::from(flip) % (count + 1)][usize::from(flip >> 8) % 32] ^= 1;
            prop_assert!(!verify_consistency(old, &old_root, new, &new_root, &proof));
        }
    }
}

fn tree_of(size: u64) -> Tree {
    let mut tree = Tree::default();
    (0..size).for_each(|n| tree.push(leaf_hash(&n.to_be_bytes())));
    tree
}
