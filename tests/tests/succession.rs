//! A host dies and another goes on: nobody's edit is lost, nobody has to click, and never do two hosts take entries.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, and the line says where")]

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use gemba_net::Address;
use gemba_record::body::Body;
use gemba_record::edit::NewThing;
use gemba_tests::editor::Editor;
use gemba_tests::plant_site::eventually;
use gemba_tests::program::{self, Program};
use gemba_twin::path::ThingId;
use gemba_twin::place::Placement;
use gemba_twin::thing::{Class, Level, Thing};

const GATE: ThingId = ThingId([7; 16]);

/// One of two hosts of a site.
struct Host {
    dir: PathBuf,
    address: Address,
    running: Option<Program>,
}

impl Host {
    fn start(&mut self, more: &[&str]) {
        let listen = format!("127.0.0.1:{}", self.address.port);
        let mut arguments: Vec<OsString> = vec![self.dir.clone().into()];
        arguments.extend(["--listen", &listen, "--admit", "editor", "--patience", "2"].map(Into::into));
        arguments.extend(more.iter().map(Into::into));
        let mut program = Program::start("gembad", arguments);
        assert_eq!(program.first_line(), self.address.to_string(), "{}", program.stderr());
        self.running = Some(program);
    }

    fn kill(&mut self) {
        self.running.take().unwrap().kill();
    }

    fn has_said(&self, words: &str) -> bool {
        self.running.as_ref().unwrap().stderr().contains(words)
    }

    fn await_words(&self, words: &str) {
        eventually(words, || self.has_said(words).then_some(()));
    }
}

struct Pair {
    first: Host,
    second: Host,
    _folder: tempfile::TempDir,
}

impl Pair {
    /// Two hosts that run, of which the second stands by, and the first counts on it.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let found = |name: &str, more: &[&str]| {
            let dir = folder.path().join(name);
            let mut arguments: Vec<OsString> = vec![dir.clone().into(), "--listen".into(), "127.0.0.1:0".into()];
            arguments.extend(more.iter().map(Into::into));
            let mut program = Program::start("gembad", arguments);
            let address = program.first_line().parse().unwrap();
            program.kill();
            Host { dir, address, running: None }
        };
        let mut first = found("first", &["--name", "Plant"]);
        let mut second = found("second", &["--stand-by", &first.address.to_string()]);
        let mut naming: Vec<OsString> = vec!["record".into(), "hosts".into(), first.dir.clone().into()];
        for host in [&first, &second] {
            naming.extend(["--host".into(), host.address.to_string().into()]);
        }
        program::run("gembactl", naming);
        first.start(&[]);
        second.start(&["--stand-by", &first.address.to_string()]);
        first.await_words("another host stands by");
        Self { first, second, _folder: folder }
    }

    /// Somebody who places a gate to leave notes at.
    fn editor(&self, name: &str, seed: u8) -> Editor {
        let mut editor = Editor::join(&self.first.address.to_string(), name, seed);
        if editor.site().thing(GATE).is_none() {
            let path = "Gate".parse().unwrap();
            let thing = Thing { path, level: Level::Unit, class: Class::Other, bindings: Vec::new() };
            let place = Placement::default();
            editor.say(Body::CreateThing(NewThing { id: GATE, thing, place, like: None })).unwrap();
        }
        editor
    }
}

fn notes(editor: &Editor) -> Vec<String> {
    editor.site().notes().iter().map(|note| note.text.clone()).collect()
}

#[test]
fn when_the_host_dies_the_other_goes_on_and_back_again_and_nobodys_word_is_lost() {
    let mut pair = Pair::start();
    let (mut ada, mut grace) = (pair.editor("Ada", 61), pair.editor("Grace", 62));
    ada.say(Body::note(GATE, "before")).unwrap();
    pair.first.kill();
    let queued = ada.submit(Body::note(GATE, "without a host"));
    // Both go on walking. The first host is gone, and with it where they stood.
    let (mut up, mut step) = (None, 1000.0);
    let pause = eventually("they see each other again", || {
        step += 0.01;
        ada.stand_at(step);
        grace.stand_at(step);
        ada.listen();
        grace.listen();
        if up.is_none() && pair.second.has_said("this host takes over") {
            up = Some(Instant::now());
        }
        let sees = |editor: &Editor| editor.others().iter().any(|x| *x > 1000.0);
        let pause = up.filter(|_| sees(&ada) && sees(&grace))?.elapsed();
        Some(pause)
    });
    println!("poses went on {} ms after the successor was up", pause.as_millis());
    assert!(pause < Duration::from_secs(10), "{pause:?}");
    let outcome = eventually("what was said meanwhile is answered", || {
        ada.listen();
        ada.answer(queued).cloned()
    });
    outcome.unwrap();
    eventually("everyone has it", || {
        grace.listen();
        (notes(&grace) == ["before", "without a host"]).then_some(())
    });
    assert_eq!((grace.site().host(), grace.site().epoch()), (pair.second.address.key, 1));

    // The first comes back, finds itself succeeded, and is there when the second dies.
    pair.first.start(&[]);
    pair.first.await_words("this one stands by");
    pair.second.await_words("another host stands by");
    grace.say(Body::note(GATE, "of the second")).unwrap();
    pair.second.kill();
    grace.say(Body::note(GATE, "of the first again")).unwrap();
    assert_eq!((grace.site().host(), grace.site().epoch()), (pair.first.address.key, 2));
    assert_eq!(notes(&grace), ["before", "without a host", "of the second", "of the first again"]);
}

#[test]
fn a_host_whose_heir_may_have_taken_over_acknowledges_nothing_until_it_is_heard() {
    let mut pair = Pair::start();
    let mut ada = pair.editor("Ada", 61);
    pair.second.kill();
    pair.first.await_words("entries wait until it is heard");
    let waiting = ada.submit(Body::note(GATE, "is it there?"));
    // A round trip later, and the host has long had it.
    let mut grace = Editor::join(&pair.first.address.to_string(), "Ada", 61);
    grace.stand_at(5.0);
    eventually("they see each other all the same", || {
        ada.listen();
        grace.listen();
        ada.others().contains(&5.0).then_some(())
    });
    assert_eq!(ada.answer(waiting), None);
    pair.second.start(&[]);
    let outcome = eventually("it is answered", || {
        ada.listen();
        ada.answer(waiting).cloned()
    });
    outcome.unwrap();
    assert_eq!(notes(&ada), ["is it there?"]);
}

#[test]
fn what_a_host_took_alone_is_put_aside_and_handed_on_when_another_has_taken_over_without_it() {
    let mut pair = Pair::start();
    let mut ada = pair.editor("Ada", 61);
    ada.say(Body::note(GATE, "on both disks")).unwrap();
    drop(ada);
    // An operator says that the second is off, and another one later that the first is.
    pair.second.kill();
    pair.first.kill();
    pair.first.start(&["--alone"]);
    let mut ada = pair.editor("Ada's other laptop", 63);
    ada.say(Body::note(GATE, "on the first disk only")).unwrap();
    drop(ada);
    pair.first.kill();
    pair.second.start(&["--succeed"]);
    let mut grace = Editor::join(&pair.second.address.to_string(), "Grace", 62);
    assert_eq!(notes(&grace), ["on both disks"]);
    grace.say(Body::note(GATE, "of the second")).unwrap();
    pair.first.start(&[]);
    pair.first.await_words("they are put aside and handed on");
    eventually("what the first had taken is in the record", || {
        grace.listen();
        notes(&grace).contains(&"on the first disk only".to_owned()).then_some(())
    });
    pair.second.await_words("another host stands by");
    let aside =
        std::fs::read_dir(&pair.first.dir).unwrap().filter_map(|file| file.ok()?.file_name().into_string().ok());
    assert!(aside.into_iter().any(|name| name.starts_with("forked-at-")), "the first's own log is kept");
    // From here on it is as if it had always stood by.
    pair.second.kill();
    grace.say(Body::note(GATE, "of the first")).unwrap();
    assert_eq!(grace.site().epoch(), 2);
}

#[test]
fn a_host_that_stands_by_goes_on_with_a_new_key_and_takes_over_by_it() {
    let mut pair = Pair::start();
    let mut ada = pair.editor("Ada", 61);
    let own = pair.second.dir.join("host.key");
    let as_second = ["--site".into(), pair.first.address.to_string().into(), "--key".into(), own.into_os_string()];
    for what in ["promise", "rotate"] {
        program::run("gembactl", [OsString::from("key"), what.into()].iter().chain(&as_second));
    }
    pair.second.await_words("this directory goes on with the new one");
    ada.say(Body::note(GATE, "on both disks")).unwrap();
    pair.first.kill();
    ada.say(Body::note(GATE, "of the second")).unwrap();
    assert_eq!(ada.site().host(), pair.second.address.key, "its identity is what it was");
    assert_ne!(ada.site().host_key(), Some(pair.second.address.key));
    eventually("Ada is with it by its new key", || {
        ada.hear();
        ada.is_at(&ada.site().host_key()?).then_some(())
    });
}
