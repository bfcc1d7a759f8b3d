//! Roles and keys by `gembactl`, into a site's directory and through its running host: given and taken, promised, replaced,
//! revoked, and brought back by guardians.

#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use ed25519_dalek::SigningKey;
use gemba_host::daemon::{Daemon, DaemonConfig};
use gemba_host::key_file::peer_key;
use gemba_host::site_dir::SiteDir;
use gemba_record::body::Body;
use gemba_twin::thing::Thing;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// A site with two halls, whose directory a command opens, or whose host runs.
struct Plant {
    temp: tempfile::TempDir,
    host: Option<(oneshot::Sender<()>, tokio::task::JoinHandle<anyhow::Result<gemba_host::daemon::End>>)>,
    runtime: Runtime,
}

impl Plant {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let mut site = SiteDir::create(&temp.path().join("plant"), "Plant").unwrap();
        let blob = site.put_blob(b"glTF").unwrap();
        let thing = |path: &str| Thing {
            path: path.parse().unwrap(),
            level: Default::default(),
            class: Default::default(),
            bindings: vec![],
        };
        let mut bodies = vec![Body::ImportModel { blob, bytes: 4, name: "plant.glb".into() }];
        bodies.extend(Body::add_things(blob, ["Hall1", "Hall2"].map(thing).to_vec()));
        site.submit_all(bodies).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        Self { temp, host: None, runtime }
    }

    fn dir(&self) -> String {
        self.path("plant").to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// A person's key file, and their public key.
    fn person(&self, name: &str) -> (String, String) {
        let seed = *name.as_bytes().first_chunk::<3>().unwrap();
        let seed: [u8; 32] = std::array::from_fn(|i| seed[i % 3]);
        let file = self.path(&format!("{name}.key"));
        fs::write(&file, seed).unwrap();
        (file.to_str().unwrap().to_owned(), peer_key(&SigningKey::from_bytes(&seed)).to_string())
    }

    /// Starts the host; its address.
    fn serve(&mut self) -> String {
        let config = DaemonConfig {
            dir: self.path("plant"),
            listen: "127.0.0.1:0".parse().unwrap(),
            opcua: None,
            admit: None,
            name: None,
            publish: None,
            history: Default::default(),
        };
        let daemon = self.runtime.block_on(Daemon::start(config)).unwrap();
        let (address, (stop, stopped)) = (daemon.address().to_string(), oneshot::channel::<()>());
        let running = self.runtime.spawn(daemon.run(async {
            let _ = stopped.await;
        }));
        self.host = Some((stop, running));
        address
    }

    fn stop(&mut self) {
        let (stop, running) = self.host.take().unwrap();
        stop.send(()).unwrap();
        self.runtime.block_on(running).unwrap().unwrap();
    }
}

fn gembactl(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gembactl")).args(args).output().unwrap()
}

#[track_caller]
fn ok(args: &[&str]) -> String {
    let output = gembactl(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The one line on stderr of a command that fails.
#[track_caller]
fn fails(args: &[&str]) -> String {
    let output = gembactl(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&ok(&[args, &["--json"]].concat())).unwrap()
}

/// What a peer may do where, as `role list` says.
fn roles(site: &str, name: &str) -> Vec<(String, Option<String>)> {
    let all = json(&["role", "list", "--site", site]);
    let peer = all.as_array().unwrap().iter().find(|peer| peer["name"] == name).unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let held = peer["roles"].as_array().unwrap().iter();
    held.map(|role| (text(&role["role"]).unwrap(), text(&role["under"]))).collect()
}

#[test]
fn roles_are_given_and_taken_whether_the_host_runs_or_not() {
    let mut plant = Plant::new();
    let dir = plant.dir();
    let ((aiko, aiko_key), (_, office)) = (plant.person("Aiko"), plant.person("Office"));
    ok(&["role", "admit", &aiko_key, "viewer", "--name", "Aiko", "--site", &dir]);
    ok(&["role", "admit", &office, "viewer", "--name", "Office", "--kind", "organisation", "--site", &dir]);
    ok(&["role", "grant", "Aiko", "editor", "--under", "Hall1", "--site", &dir]);
    assert!(fails(&["role", "grant", "Mallory", "owner", "--site", &dir]).contains("knows nobody"));
    assert!(fails(&["role", "grant", "Aiko", "editor", "--under", "Hall9", "--site", &dir]).contains("no Hall9"));
    assert!(fails(&["role", "revoke", "owner", "--site", &dir]).contains("at least one owner"));

    let address = plant.serve();
    let editor = ("editor".to_owned(), Some("Hall1".to_owned()));
    assert_eq!(roles(&dir, "Aiko"), [("viewer".to_owned(), None), editor.clone()]);
    let office =
        json(&["role", "list", "--site", &dir]).as_array().unwrap().iter().find(|p| p["name"] == "Office").cloned();
    assert_eq!(office.unwrap()["kind"], "organisation");
    ok(&["role", "grant", &aiko_key[..8], "operator", "--under", "Hall2", "--site", &dir]);
    let as_aiko = ["--site", &address, "--key", &aiko];
    let refused = fails(&[&["role", "grant", "Aiko", "owner"], &as_aiko[..]].concat());
    assert!(refused.contains("the host refuses"), "{refused}");
    assert_eq!(json(&[&["key", "show"], &as_aiko[..]].concat())["name"], "Aiko");
    ok(&["role", "revoke", "Aiko", "--under", "Hall1", "--site", &dir]);
    let operator = ("operator".to_owned(), Some("Hall2".to_owned()));
    assert_eq!(roles(&dir, "Aiko"), [("viewer".to_owned(), None), operator]);
    plant.stop();
    let shown = json(&["record", "show", &dir, "--thing", "Hall2"]);
    assert_eq!(shown.as_array().unwrap().len(), 2, "what is about the hall: {shown:#}");
}

/// A site with Aiko and her guardians, served; its address, and the key files.
fn guarded() -> (Plant, String, [String; 4]) {
    let mut plant = Plant::new();
    let dir = plant.dir();
    let files = ["Aiko", "Grace", "Ada", "Mallory"].map(|name| {
        let (file, key) = plant.person(name);
        ok(&["role", "admit", &key, "commenter", "--name", name, "--site", &dir]);
        file
    });
    let address = plant.serve();
    let aiko = &files[0];
    ok(&[
        "key",
        "promise",
        "--site",
        &address,
        "--key",
        aiko,
        "--guardian",
        "Grace",
        "--guardian",
        "Ada",
        "--needed",
        "2",
    ]);
    (plant, address, files)
}

#[test]
fn an_identity_goes_on_with_the_key_that_it_promised() {
    let (mut plant, address, [aiko, grace, ..]) = guarded();
    let next = format!("{aiko}.next");
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&next).unwrap().permissions()) & 0o777, 0o600);
    let before = json(&["key", "show", "--site", &address, "--key", &aiko]);
    assert_eq!((&before["number"], &before["next_is_promised"]), (&0.into(), &true.into()));
    assert_eq!(before["guardians"].as_array().unwrap().len(), 2);
    ok(&["key", "rotate", "--site", &address, "--key", &aiko]);
    assert!(fails(&["key", "show", "--site", &address, "--key", &aiko]).contains("replaced or revoked"));
    let after = json(&["key", "show", "--site", &address, "--key", &next]);
    assert_eq!((&after["identity"], &after["number"]), (&before["identity"], &1.into()));
    assert_eq!((&after["next_is_promised"], &after["guardians_needed"]), (&true.into(), &2.into()));

    // Stolen: an owner revokes it, and somebody who can come in brings the one that was promised.
    let dir = plant.dir();
    ok(&["key", "revoke", "Aiko", "--site", &dir]);
    assert!(fails(&["key", "show", "--site", &address, "--key", &next]).contains("replaced or revoked"));
    let after_next = format!("{next}.next");
    ok(&["key", "rotate", "Aiko", "--next", &after_next, "--site", &address, "--key", &grace]);
    assert_eq!(json(&["key", "show", "--site", &address, "--key", &after_next])["number"], 2);
    plant.stop();
    assert_eq!(json(&["record", "verify", &dir])["holds"], true);
}

fn strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

#[test]
fn guardians_bring_an_identity_back_whose_keys_are_lost() {
    let (plant, address, [aiko, grace, ada, mallory]) = guarded();
    let fresh = plant.path("fresh.key").to_str().unwrap().to_owned();
    let request = ok(&["key", "new", &fresh]);
    assert!(fails(&["key", "new", &fresh]).contains("there already"));
    let vouch = |file: &str| ["key", "vouch", "Aiko", &request, "--site", &address, "--key", file].map(str::to_owned);
    let word = |file: &str| ok(&strs(&vouch(file)));
    assert!(fails(&strs(&vouch(&mallory))).contains("no guardian of Aiko"));
    let (one, two) = (word(&grace), word(&ada));
    let recover = |words: &[&str]| {
        let mut args = vec!["key", "recover", "Aiko", &fresh, "--site", &address, "--key", &grace];
        words.iter().for_each(|word| args.extend(["--approval", word]));
        args.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    for too_few in [&[one.as_str()][..], &[&one, &one]] {
        assert!(fails(&strs(&recover(too_few))).contains("the host refuses"));
    }
    ok(&strs(&recover(&[&two, &one])));
    assert!(fails(&["key", "show", "--site", &address, "--key", &aiko]).contains("replaced or revoked"));
    let back = json(&["key", "show", "--site", &address, "--key", &fresh]);
    assert_eq!((&back["name"], &back["number"], &back["next_is_promised"]), (&"Aiko".into(), &1.into(), &true.into()));
}

#[test]
fn an_address_where_nobody_answers_ends_with_a_line_and_does_not_wait_for_ever() {
    // A port that is held and where nobody speaks.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("person.key");
    std::fs::write(&file, [1; 32]).unwrap();
    let host = peer_key(&SigningKey::from_bytes(&[2; 32]));
    let address = format!("gemba://{}/plant#{host}", silent.local_addr().unwrap());
    let said = fails(&["key", "show", "--site", &address, "--key", file.to_str().unwrap()]);
    assert!(said.contains("the host does not answer"), "{said}");
}
