//! The key of the machine that hosts a site is replaced: as planned, after a theft, and of a host that stands by. Nobody
//! has to be told a new address, and what the old key signs from then on counts nowhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, and the line says where")]

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use gemba_host::key_file::peer_key;
use gemba_host::site_dir::SiteDir;
use gemba_net::{Address, LinkConfig, LinkEvent, LinkState, connect};
use gemba_record::body::Body;
use gemba_record::checkpoint::Checkpoint;
use gemba_record::edit::NewThing;
use gemba_tests::editor::Editor;
use gemba_tests::plant_site::{self, eventually};
use gemba_tests::program::{self, Ended, Program};
use gemba_twin::path::ThingId;
use gemba_twin::peer::PeerKind;
use gemba_twin::place::Placement;
use gemba_twin::thing::{Class, Level, Thing};

const GATE: ThingId = ThingId([7; 16]);

/// A site and its host.
struct Plant {
    folder: tempfile::TempDir,
    address: Address,
    host: Option<Program>,
}

impl Plant {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (dir, model) = (folder.path().join("plant"), folder.path().join("plant.glb"));
        plant_site::generate(&model);
        program::run("gembactl", ["import".as_ref(), model.as_os_str(), "--site".as_ref(), dir.as_os_str()]);
        let (host, address) = serve(&dir, "127.0.0.1:0");
        Self { folder, address, host: Some(host) }
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("plant")
    }

    fn stop(&mut self) {
        self.host.take().unwrap().kill();
    }

    fn serve_again(&mut self) {
        self.host = Some(serve(&self.dir(), &format!("127.0.0.1:{}", self.address.port)).0);
    }

    fn says(&self, words: &str) {
        eventually(words, || self.host.as_ref().unwrap().stderr().contains(words).then_some(()));
    }

    fn tool(&self, arguments: &[&str]) -> Ended {
        gembactl(arguments, &["--site".into(), self.dir().into()])
    }

    /// The address as it stands in the directory.
    fn told_address(&self) -> Address {
        fs::read_to_string(self.dir().join("address")).unwrap().trim().parse().unwrap()
    }

    fn key_of_host(&self) -> SigningKey {
        let text = fs::read_to_string(self.dir().join("host.key")).unwrap();
        let bytes: gemba_twin::peer::PeerKey = text.trim().parse().unwrap();
        SigningKey::from_bytes(&bytes.0)
    }

    fn verify(&self, more: &[OsString]) -> serde_json::Value {
        let arguments = ["record".into(), "verify".into(), self.dir().into(), "--json".into()];
        let ended = Program::start("gembactl", arguments.iter().chain(more)).wait();
        serde_json::from_str(&ended.stdout).unwrap()
    }
}

fn serve(dir: &Path, listen: &str) -> (Program, Address) {
    let arguments: [OsString; 5] = [dir.into(), "--listen".into(), listen.into(), "--admit".into(), "editor".into()];
    let mut host = Program::start("gembad", arguments);
    let address = host.first_line().parse().unwrap();
    (host, address)
}

fn gembactl(arguments: &[&str], more: &[OsString]) -> Ended {
    let ended = Program::start("gembactl", arguments.iter().map(OsString::from).chain(more.to_vec())).wait();
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
    ended
}

/// Whether somebody is let in who comes with this key.
fn is_let_in(address: &Address, key: &SigningKey) -> Result<(), String> {
    let config = LinkConfig {
        address: address.clone(),
        signing_key: key.clone(),
        name: "whoever".to_owned(),
        kind: PeerKind::Host,
        entries_held: 0,
    };
    let mut link = connect(config);
    eventually("an answer", || match link.wait(std::time::Duration::from_millis(50)) {
        Some(LinkEvent::Welcome { .. }) => Some(Ok(())),
        Some(LinkEvent::State(LinkState::Refused { why })) => Some(Err(why)),
        _ => None,
    })
}

#[test]
fn a_running_hosts_key_is_replaced_and_everyone_comes_back_by_what_they_had() {
    let mut plant = Plant::start();
    let old = plant.address.clone();
    let mut ada = Editor::join(&old.to_string(), "Ada", 61);
    let link = plant.tool(&["invite", "viewer", "--name", "Grace"]).stdout.trim().to_owned();
    plant.tool(&["key", "promise"]);
    let stolen = plant.key_of_host();
    let said = plant.tool(&["key", "rotate"]).stdout;
    plant.says("it goes on with the new one");
    let new = eventually("the host has told its new address", || Some(plant.told_address()).filter(|new| *new != old));
    assert_eq!((new.port, new.key == old.key), (old.port, false));
    assert!(said.contains(&new.to_string()), "{said}");

    // Who was there goes on, by the key that the record names; who comes by the old address finds the site, too.
    eventually("Ada is with the host by its new key", || {
        ada.hear();
        ada.is_at(&new.key).then_some(())
    });
    let thing = Thing { path: "Gate".parse().unwrap(), level: Level::Unit, class: Class::Other, bindings: Vec::new() };
    ada.say(Body::CreateThing(NewThing { id: GATE, thing, place: Placement::default(), like: None })).unwrap();
    let mut ben = Editor::join(&old.to_string(), "Ben", 62);
    eventually("Ben is with the host by its new key", || {
        ben.hear();
        ben.is_at(&new.key).then_some(())
    });
    let viewed = program::Viewer::start(&link, plant.folder.path(), "Grace", &["--seconds", "2"]).report();
    assert_eq!(viewed["errors"], serde_json::json!([]), "{viewed:#}");

    // The old key speaks for nobody any more.
    let why = is_let_in(&new, &stolen).unwrap_err();
    assert!(why.contains("replaced or revoked"), "{why}");
    eventually("the new key has signed for the record", || {
        let verified = plant.verify(&[]);
        assert_eq!(
            (&verified["holds"], &verified["host"]),
            (&true.into(), &new.key.to_string().into()),
            "{verified:#}"
        );
        (verified["signed_entries"] == verified["entries"]).then_some(())
    });
    assert_eq!(plant.verify(&["--host".into(), old.key.to_string().into()])["holds"], true, "one host, two keys");

    // And again, of a host that rests; then it starts as it always did.
    plant.stop();
    plant.tool(&["key", "rotate"]);
    plant.serve_again();
    let newest = plant.told_address();
    assert!(newest.key != new.key && newest.key != old.key);
    for address in [&old, &new, &newest] {
        let mut carl = Editor::join(&address.to_string(), "Carl", 63);
        eventually("Carl is with the host by its newest key", || {
            carl.hear();
            carl.is_at(&newest.key).then_some(())
        });
    }
    assert_eq!(plant.verify(&[])["holds"], true);
}

#[test]
fn a_thief_of_a_hosts_key_is_shut_out_and_what_he_signs_is_found() {
    let mut plant = Plant::start();
    let old = plant.address.clone();
    plant.tool(&["key", "promise"]);
    // As it is told to everyone: kept elsewhere.
    let safe = plant.folder.path().join("safe.next");
    fs::rename(plant.dir().join("host.key.next"), &safe).unwrap();
    let stolen = plant.key_of_host();
    assert_eq!(peer_key(&stolen), old.key);
    // The thief cannot rotate: he does not know the next key.
    let guess = plant.folder.path().join("guess");
    fs::write(&guess, [9; 32]).unwrap();
    let arguments = ["key", "rotate", "--next", guess.to_str().unwrap(), "--site"].map(OsString::from);
    let refused = Program::start("gembactl", arguments.iter().chain([&OsString::from(old.to_string())])).wait();
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);

    // The operator says that it was stolen: the host stops, says what to do, and serves by the stolen key no more.
    plant.tool(&["key", "revoke"]);
    let ended = plant.host.take().unwrap().wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("was revoked and counts no more") && ended.stderr.contains("key rotate"));
    let dir = plant.dir();
    let again = Program::start("gembad", [dir.as_os_str(), "--listen".as_ref(), "127.0.0.1:0".as_ref()]).wait();
    assert_eq!(again.code, Some(1), "{}", again.stderr);

    plant.tool(&["key", "rotate", "--next", safe.to_str().unwrap()]);
    plant.serve_again();
    let mut ada = Editor::join(&old.to_string(), "Ada", 61);
    let new = plant.told_address();
    eventually("Ada is with the host by its new key", || {
        ada.hear();
        ada.is_at(&new.key).then_some(())
    });
    assert!(is_let_in(&new, &stolen).unwrap_err().contains("replaced or revoked"));
    plant.stop();
    assert_eq!(plant.verify(&[])["holds"], true);

    // What he signs for as if he still were the host: more entries than the key had, or others than there are.
    let mut site = SiteDir::open(&dir).unwrap();
    let (size, kept) = (site.log().entries(), site.sign_checkpoint().unwrap());
    drop(site);
    let origin = kept.lines().next().unwrap().to_owned();
    let root = gemba_record::checkpoint::SignedCheckpoint::read(&kept).unwrap().checkpoint().root;
    for (size, root, finds) in [(size, root, "not signed by the expected key"), (2, [7; 32], "the root is not the one")]
    {
        let forged = plant.folder.path().join("forged");
        fs::write(&forged, Checkpoint { origin: origin.clone(), size, root }.sign(&stolen)).unwrap();
        let verified = plant.verify(&["--checkpoint".into(), forged.into()]);
        let findings = verified["findings"].to_string();
        assert!(verified["holds"] == false && findings.contains(finds), "{verified:#}");
    }
    let forged = Checkpoint { origin, size, root }.sign(&stolen);
    fs::write(dir.join("checkpoint"), forged).unwrap();
    assert_eq!(plant.verify(&[])["holds"], false, "in the host's own place, too");
}

#[test]
fn a_host_that_has_lost_all_its_keys_is_brought_back_by_its_guardians_and_by_no_fewer() {
    let mut plant = Plant::start();
    let old = plant.address.clone();
    let file = |name: &str| plant.folder.path().join(name).to_str().unwrap().to_owned();
    let guardians = [("Ada", 61), ("Ben", 62), ("Carl", 63)].map(|(name, seed)| {
        let key = SigningKey::from_bytes(&[seed; 32]);
        plant.tool(&["role", "admit", &peer_key(&key).to_string(), "viewer", "--name", name]);
        fs::write(file(name), key.to_bytes()).unwrap();
        file(name)
    });
    let named = ["--guardian", "Ada", "--guardian", "Ben", "--guardian", "Carl", "--needed", "2"];
    plant.tool(&[&["key", "promise"][..], &named].concat());
    fs::remove_file(plant.dir().join("host.key.next")).unwrap();
    let stolen = plant.key_of_host();
    plant.tool(&["key", "revoke"]);
    assert_eq!(plant.host.take().unwrap().wait().code, Some(1), "a host whose key was revoked stops");

    let fresh = file("fresh.key");
    let request = gembactl(&["key", "new", &fresh], &[]).stdout.trim().to_owned();
    let words =
        guardians.map(|own| plant.tool(&["key", "vouch", "host", &request, "--key", &own]).stdout.trim().to_owned());
    let site = [OsString::from("--site"), plant.dir().into()];
    for too_few in [&words[..1], &[words[0].clone(), words[0].clone()]] {
        let approvals = too_few.iter().flat_map(|word| ["--approval".into(), OsString::from(word)]);
        let arguments = ["key", "recover", "host", &fresh].map(OsString::from).into_iter().chain(approvals);
        let refused = Program::start("gembactl", arguments.chain(site.clone())).wait();
        assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    }
    plant.tool(&["key", "recover", "host", &fresh, "--approval", &words[2], "--approval", &words[0]]);

    plant.serve_again();
    let new = plant.told_address();
    assert_eq!(new.key.to_string(), gembactl(&["key", "show", "--key", &fresh], &[]).stdout.trim());
    let mut dora = Editor::join(&old.to_string(), "Dora", 64);
    eventually("Dora is with the host by the recovered key", || {
        dora.hear();
        dora.is_at(&new.key).then_some(())
    });
    assert!(is_let_in(&new, &stolen).unwrap_err().contains("replaced or revoked"));
    plant.stop();
    assert_eq!(plant.verify(&[])["holds"], true);
}
