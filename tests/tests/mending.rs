//! A byte of the record turns on the disk while its host runs: it says so, takes nothing until a mirror is there to mend it
//! from, and goes on without being started anew.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, and the line says where")]

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use gemba_net::{LinkConfig, connect};
use gemba_record::body::Body;
use gemba_record::edit::NewThing;
use gemba_tests::editor::Editor;
use gemba_tests::plant_site::eventually;
use gemba_tests::program::{self, Program};
use gemba_twin::path::ThingId;
use gemba_twin::peer::PeerKind;
use gemba_twin::place::Placement;
use gemba_twin::thing::{Class, Level, Thing};

const GATE: ThingId = ThingId([7; 16]);

fn serve(dir: &Path, counters: &Path) -> (Program, String) {
    let mut arguments: Vec<OsString> = vec![dir.into()];
    arguments.extend(["--listen", "127.0.0.1:0", "--admit", "editor", "--counters"].map(Into::into));
    arguments.push(counters.into());
    let mut host = Program::start("gembad", arguments);
    let address = host.first_line();
    (host, address)
}

fn verify(dir: &Path) -> serde_json::Value {
    let arguments: [OsString; 4] = ["record".into(), "verify".into(), dir.into(), "--json".into()];
    serde_json::from_str(&Program::start("gembactl", arguments).wait().stdout).unwrap()
}

/// A mirror, and what the policy calls it.
fn mirror(folder: &Path, log: &str, listen: &str) -> (Program, String) {
    let (nothing, dir) = (folder.join("nothing"), folder.join("mirror"));
    let mut arguments: Vec<OsString> =
        vec!["record".into(), "mirror".into(), nothing.into(), "--dir".into(), dir.into()];
    arguments.extend(["--name", "m.example", "--log", log, "--listen", listen].map(Into::into));
    let mut mirror = Program::start("gembactl", arguments);
    let member = mirror.first_line();
    (mirror, member)
}

/// Turns a bit of these words where they stand in the record.
fn damage(record: &PathBuf, words: &str) {
    let bytes = fs::read(record).unwrap();
    let at = bytes.windows(words.len()).position(|window| window == words.as_bytes()).unwrap();
    let file = fs::OpenOptions::new().write(true).open(record).unwrap();
    file.write_all_at(&[bytes[at] ^ 4], at as u64).unwrap();
}

#[test]
fn a_record_that_is_damaged_under_its_running_host_is_mended_from_a_mirror_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, counters) = (folder.path().join("plant"), folder.path().join("counters"));
    serve(&dir, &counters).0.kill();
    let log = verify(&dir)["verifier_key"].as_str().unwrap().to_owned();
    let (mut mirroring, member) = mirror(folder.path(), &log, "127.0.0.1:0");
    program::run(
        "gembactl",
        ["record".as_ref(), "policy".as_ref(), dir.as_os_str(), "--mirror".as_ref(), member.as_ref()],
    );
    let (host, address) = serve(&dir, &counters);
    let mut ada = Editor::join(&address, "Ada", 61);
    let thing = Thing { path: "Gate".parse().unwrap(), level: Level::Unit, class: Class::Other, bindings: Vec::new() };
    ada.say(Body::CreateThing(NewThing { id: GATE, thing, place: Placement::default(), like: None })).unwrap();
    let said = ["one", "a word that will turn", "three"];
    let places = said.map(|words| ada.say(Body::note(GATE, words)).unwrap());
    eventually("the mirror has it all", || (verify(&dir)["final_entries"] == ada.site().entries()).then_some(()));

    mirroring.kill();
    damage(&dir.join("site.record"), said[1]);
    // Who comes has all of it read for them.
    let newcomer = LinkConfig {
        address: address.parse().unwrap(),
        signing_key: SigningKey::from_bytes(&[61; 32]),
        name: "Ada's other screen".to_owned(),
        kind: PeerKind::Person,
        entries_held: 0,
    };
    let _newcomer = connect(newcomer);
    let damaged = format!("damaged: entry {}, at bytes", places[1]);
    eventually("the host says what is damaged", || host.stderr().contains(&damaged).then_some(()));
    let found = verify(&dir);
    assert!(found["holds"] == false && found["findings"].to_string().contains(&damaged), "{found:#}");
    let count = |name: &str| {
        let counters: serde_json::Value = serde_json::from_str(&fs::read_to_string(&counters).ok()?).ok()?;
        counters[name].as_u64()
    };
    eventually("it is counted", || (count("record_damaged_entries") == Some(1)).then_some(()));
    let refused = ada.say(Body::note(GATE, "meanwhile")).unwrap_err();
    assert!(refused.contains(&damaged) && refused.contains("until it is mended"), "{refused}");

    let listen = member.rsplit_once("http://").unwrap().1.to_owned();
    let (_mirroring, again) = mirror(folder.path(), &log, &listen);
    assert_eq!(again, member);
    eventually("the host mends its record", || host.stderr().contains("entries are taken again").then_some(()));
    let after = ada.say(Body::note(GATE, "again")).unwrap();
    eventually("it is counted", || (count("record_mended_entries") == Some(1)).then_some(()));
    let ben = Editor::join(&address, "Ben", 62);
    let notes: Vec<_> = ben.site().notes().iter().map(|note| (note.text.as_str(), note.index)).collect();
    assert_eq!(notes, [(said[0], places[0]), (said[1], places[1]), (said[2], places[2]), ("again", after)]);
    eventually("what came after is final, too", || {
        let verified = verify(&dir);
        assert_eq!(verified["holds"], true, "{verified:#}");
        (verified["final_entries"] == ben.site().entries()).then_some(())
    });
}
