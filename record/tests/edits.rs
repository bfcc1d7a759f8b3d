//! What becomes of the plant when people change it.

#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use ed25519_dalek::SigningKey;
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::command::{AlarmAck, Command, CommandOutcome, Outcome};
use gemba_record::edit::{Aspect, Change, Conflict, Edit, NewThing};
use gemba_record::entry::{EntryId, SiteId};
use gemba_record::log::Log;
use gemba_record::refusal::Refusal;
use gemba_record::role::Role;
use gemba_record::site::{Placed, Site};
use gemba_twin::path::{ThingId, ThingPath};
use gemba_twin::peer::PeerKind;
use gemba_twin::place::Placement;
use gemba_twin::sample::{Timestamp, Value, ValueKind};
use gemba_twin::tag::Tag;
use gemba_twin::thing::{Class, Level, Thing};
use proptest::prelude::*;

const SITE: SiteId = SiteId([5; 16]);
const MODEL: [u8; 32] = [0xab; 32];

fn author(seed: u8) -> Author {
    Author::new(SigningKey::from_bytes(&[seed; 32]), SITE)
}

fn path(text: &str) -> ThingPath {
    text.parse().unwrap()
}

fn thing(text: &str) -> Thing {
    Thing { path: path(text), level: Level::Part, class: Class::Other, bindings: vec![] }
}

fn tag(text: &str, writable: bool) -> Tag {
    Tag { path: text.parse().unwrap(), kind: ValueKind::Float, unit: Default::default(), range: None, writable }
}

struct Plant {
    log: Log,
    next: u32,
}

impl Plant {
    /// Owner 1, editors 2 and 3, gateway 4; a hall with two robots that have tags.
    fn new() -> Self {
        let mut plant = Self { log: Log::new(), next: 0 };
        plant.takes(1, Body::Found { name: "Plant".into(), host: author(1).identity });
        for (seed, kind, role) in [
            (2, PeerKind::Person, Role::Operator),
            (3, PeerKind::Person, Role::Operator),
            (4, PeerKind::Device, Role::Editor),
        ] {
            let (peer, name) = (author(seed).identity, format!("peer {seed}"));
            plant.takes(1, Body::Admit { peer, kind, name, role });
        }
        plant.takes(1, Body::ImportModel { blob: MODEL, bytes: 9, name: "plant.glb".into() });
        let things = ["Hall", "Hall/A", "Hall/A/Arm", "Hall/A/Arm/Hand", "Hall/B"].map(thing).to_vec();
        plant.takes(1, Body::AddThings { model: MODEL, things });
        plant.takes(4, Body::DeclareTags { tags: vec![tag("Hall/A/Arm/Angle", true), tag("Hall/A/Load", false)] });
        plant
    }

    fn says(&mut self, seed: u8, body: Body) -> Result<Placed, Refusal> {
        self.next += 1;
        let mut id = [0; 16];
        id[..4].copy_from_slice(&self.next.to_be_bytes());
        self.log.append(author(seed).sign(body, EntryId(id)).bytes().to_vec())
    }

    #[track_caller]
    fn takes(&mut self, seed: u8, body: Body) -> EntryId {
        self.says(seed, body).unwrap();
        let mut id = [0; 16];
        id[..4].copy_from_slice(&self.next.to_be_bytes());
        EntryId(id)
    }

    fn site(&self) -> &Site {
        self.log.site().unwrap()
    }

    fn edit(&self, at: &str, change: Change) -> Edit {
        let thing = self.site().thing_at(&path(at)).map_or(ThingId([0; 16]), |thing| thing.id);
        Edit { thing, based_on: self.site().entries(), change, undoes: None }
    }

    fn changes(&mut self, at: &str, change: Change) -> Result<Placed, Refusal> {
        let edit = self.edit(at, change);
        self.says(2, Body::EditThing(edit))
    }

    fn paths(&self) -> Vec<&str> {
        self.site().things().iter().map(|thing| thing.thing.path.as_str()).collect()
    }
}

fn somewhere(x: f64) -> Placement {
    Placement { position: [x, 0.0, 0.0], ..Placement::default() }
}

#[test]
fn a_renamed_or_reparented_thing_takes_its_parts_and_keeps_its_tags() {
    let mut plant = Plant::new();
    plant.changes("Hall/A", Change::Rename("Robot".into())).unwrap();
    let b = plant.site().thing_at(&path("Hall/B")).unwrap().id;
    plant.changes("Hall/Robot/Arm", Change::Reparent(Some(b))).unwrap();
    assert_eq!(plant.paths(), ["Hall", "Hall/Robot", "Hall/B/Arm", "Hall/B/Arm/Hand", "Hall/B"]);
    let of_tag = |tag: &str| plant.site().thing_of_tag(&tag.parse().unwrap()).unwrap().thing.path.to_string();
    assert_eq!(of_tag("Hall/A/Arm/Angle"), "Hall/B/Arm");
    assert_eq!(of_tag("Hall/A/Load"), "Hall/Robot");
}

#[test]
fn the_tags_of_a_thing_that_a_person_placed_do_not_leave_it_when_another_is_renamed() {
    let mut plant = Plant::new();
    let new = NewThing { id: ThingId([7; 16]), thing: thing("Hall/C"), place: somewhere(1.0), like: None };
    plant.takes(2, Body::CreateThing(new));
    let of_tag = |plant: &Plant| plant.site().thing_of_tag(&"Hall/C/Load".parse().unwrap()).map(|thing| thing.id);
    assert_eq!(of_tag(&plant), Some(ThingId([7; 16])));
    plant.changes("Hall/B", Change::Rename("Robot".into())).unwrap();
    assert_eq!(of_tag(&plant), Some(ThingId([7; 16])));
}

#[test]
fn a_model_imported_again_finds_what_people_have_renamed() {
    let mut plant = Plant::new();
    plant.changes("Hall/A", Change::Rename("Robot".into())).unwrap();
    plant.changes("Hall/Robot", Change::Move(Some(somewhere(3.0)))).unwrap();
    let mut renewed = thing("Hall/A");
    renewed.class = Class::Robot;
    plant.takes(1, Body::AddThings { model: MODEL, things: vec![renewed, thing("Hall/A/Foot")] });
    let robot = plant.site().thing_at(&path("Hall/Robot")).unwrap();
    assert_eq!((robot.thing.class, robot.place), (Class::Robot, Some(somewhere(3.0))));
    assert!(plant.paths().contains(&"Hall/Robot/Foot"), "a new part is added where its whole is now");
}

#[test]
fn the_plant_stays_a_tree_and_no_path_stands_twice() {
    let mut plant = Plant::new();
    let id = |plant: &Plant, at: &str| plant.site().thing_at(&path(at)).unwrap().id;
    let (a, hand) = (id(&plant, "Hall/A"), id(&plant, "Hall/A/Arm/Hand"));
    for inside in [a, hand] {
        let refused = plant.changes("Hall/A", Change::Reparent(Some(inside))).unwrap_err();
        assert!(refused.to_string().contains("part of"), "{refused}");
    }
    for change in [Change::Rename("B".into()), Change::Rename("x/y".into()), Change::Rename(String::new())] {
        assert!(matches!(plant.changes("Hall/A", change), Err(Refusal::Content(_))));
    }
    assert!(matches!(plant.changes("Hall/A", Change::Rename("x".repeat(1020))), Err(Refusal::Content(_))));
    let create = |path: &str, id| NewThing { id, thing: thing(path), place: somewhere(1.0), like: None };
    assert!(plant.says(2, Body::CreateThing(create("Hall/A", ThingId([7; 16])))).is_err());
    plant.takes(2, Body::CreateThing(create("Hall/C", ThingId([7; 16]))));
    assert!(plant.says(2, Body::CreateThing(create("Hall/D", ThingId([7; 16])))).is_err());
    plant.changes("Hall/C", Change::Reparent(None)).unwrap();
    assert!(plant.paths().contains(&"C"));
}

#[test]
fn a_conflicting_edit_lands_and_says_what_it_overruled() {
    let mut plant = Plant::new();
    let known = plant.site().entries();
    let edit = |plant: &Plant, change| Edit { based_on: known, ..plant.edit("Hall/A", change) };
    let first = edit(&plant, Change::Move(Some(somewhere(1.0))));
    assert_eq!(plant.site().conflict(&author(2).identity, &first), None);
    plant.takes(2, Body::EditThing(first));
    let second = edit(&plant, Change::Move(Some(somewhere(2.0))));
    let conflict = plant.site().conflict(&author(3).identity, &second);
    let thing = path("Hall/A").id();
    assert_eq!(conflict, Some(Conflict { thing, aspect: Aspect::Place, overruled: known }));
    assert_eq!(plant.site().conflict(&author(2).identity, &second), None, "nobody conflicts with themselves");
    let other = edit(&plant, Change::Retire(true));
    assert_eq!(plant.site().conflict(&author(3).identity, &other), None, "another aspect is no conflict");
    plant.takes(3, Body::EditThing(second));
    assert_eq!(plant.site().thing(thing).unwrap().place, Some(somewhere(2.0)), "the last in the log wins");
    let future = Edit { based_on: plant.site().entries() + 1, ..edit(&plant, Change::Retire(true)) };
    assert!(plant.says(3, Body::EditThing(future)).is_err());
}

#[test]
fn a_retired_thing_takes_its_parts_along_and_comes_back_with_them() {
    let mut plant = Plant::new();
    let hand = path("Hall/A/Arm/Hand").id();
    plant.changes("Hall/A", Change::Retire(true)).unwrap();
    assert!(plant.site().is_retired(hand) && !plant.site().is_retired(path("Hall").id()));
    plant.changes("Hall/A", Change::Retire(false)).unwrap();
    assert!(!plant.site().is_retired(hand));
}

#[test]
fn only_what_can_be_set_is_commanded_and_only_its_device_says_what_became_of_it() {
    let mut plant = Plant::new();
    let command = |tag: &str, value| {
        Body::CommandDevice(Command { tag: tag.parse().unwrap(), value, until: Timestamp::from_secs(5) })
    };
    assert!(plant.says(2, command("Hall/A/Load", Value::Float(1.0))).is_err(), "not writable");
    assert!(plant.says(2, command("Hall/A/Arm/Angle", Value::Bool(true))).is_err(), "another kind of value");
    assert!(plant.says(2, command("Hall/A/Arm/Angle", Value::Float(f64::NAN))).is_err());
    assert!(plant.says(4, command("Hall/A/Arm/Angle", Value::Float(1.0))).is_err(), "an editor is no operator");
    let command = plant.takes(2, command("Hall/A/Arm/Angle", Value::Float(1.0)));
    let report = |outcome| Body::ReportOutcome(CommandOutcome { command, outcome });
    assert_eq!(plant.says(2, report(Outcome::Done)), Err(Refusal::NoDevice));
    plant.takes(4, report(Outcome::Failed("jammed".into())));
    assert!(plant.says(4, report(Outcome::Done)).is_err(), "an outcome is said once");
    let outcome = plant.site().commands().next().unwrap().1.outcome.clone();
    assert_eq!(outcome, Some(Outcome::Failed("jammed".into())));
}

#[test]
fn an_alarm_that_has_been_seen_does_not_become_unseen_by_an_older_one() {
    let mut plant = Plant::new();
    let thing = path("Hall/A").id();
    let ack = |secs| Body::AckAlarm(AlarmAck { thing, raised: Timestamp::from_secs(secs), text: String::new() });
    plant.takes(2, ack(10));
    assert!(plant.says(3, ack(9)).is_err());
    plant.takes(3, ack(11));
    assert_eq!(plant.site().alarm_ack(thing).unwrap().author, author(3).identity);
}

fn any_change() -> impl Strategy<Value = (usize, Change)> {
    let ids: Vec<ThingId> =
        ["Hall", "Hall/A", "Hall/A/Arm", "Hall/A/Arm/Hand", "Hall/B"].map(|p| path(p).id()).to_vec();
    let change = prop_oneof![
        (0.0..9.0f64).prop_map(|x| Change::Move(Some(somewhere(x)))),
        "[A-D]".prop_map(Change::Rename),
        proptest::option::of(proptest::sample::select(ids)).prop_map(Change::Reparent),
        any::<bool>().prop_map(Change::Retire),
        Just(Change::Classify(Level::Unit, Class::Robot)),
    ];
    (0usize..5, change)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_edit_is_taken_back_by_its_inverse_and_the_plant_stays_a_tree(changes in proptest::collection::vec(any_change(), 1..25)) {
        let mut plant = Plant::new();
        let ids: Vec<ThingId> = plant.site().things().iter().map(|thing| thing.id).collect();
        let mut undo = Vec::new();
        let before: Vec<_> = plant.site().things().to_vec();
        for (at, change) in changes {
            let edit = Edit { thing: ids[at], based_on: plant.site().entries(), change, undoes: None };
            let inverse = plant.site().inverse(&edit).unwrap();
            if plant.says(2, Body::EditThing(edit)).is_ok() {
                undo.push((ids[at], inverse));
            }
            let site = plant.site();
            for thing in site.things() {
                // Everything is found by its path, and its parents lead up to a root.
                prop_assert_eq!(site.thing_at(&thing.thing.path).map(|t| t.id), Some(thing.id));
            }
        }
        let resumed = Site::from_snapshot(&plant.site().snapshot()).unwrap();
        prop_assert_eq!(resumed.digest(), plant.site().digest());
        for (thing, change) in undo.into_iter().rev() {
            let edit = Edit { thing, based_on: plant.site().entries(), change, undoes: None };
            plant.takes(2, Body::EditThing(edit));
        }
        prop_assert_eq!(plant.site().things().to_vec(), before);
    }

    #[test]
    fn what_is_undone_and_done_again_is_as_it_was(changes in proptest::collection::vec(any_change(), 1..20), undone in 1usize..20) {
        let mut plant = Plant::new();
        let ids: Vec<ThingId> = plant.site().things().iter().map(|thing| thing.id).collect();
        let mut undo = Vec::new();
        for (at, change) in changes {
            let edit = Edit { thing: ids[at], based_on: plant.site().entries(), change, undoes: None };
            let inverse = plant.site().inverse(&edit).unwrap();
            if plant.says(2, Body::EditThing(edit)).is_ok() {
                undo.push((ids[at], inverse));
            }
        }
        let done: Vec<_> = plant.site().things().to_vec();
        let mut redo = Vec::new();
        for (thing, change) in undo.into_iter().rev().take(undone) {
            let edit = Edit { thing, based_on: plant.site().entries(), change, undoes: None };
            redo.push((thing, plant.site().inverse(&edit).unwrap()));
            plant.takes(2, Body::EditThing(edit));
        }
        for (thing, change) in redo.into_iter().rev() {
            let edit = Edit { thing, based_on: plant.site().entries(), change, undoes: None };
            plant.takes(2, Body::EditThing(edit));
        }
        prop_assert_eq!(plant.site().things().to_vec(), done);
    }
}
