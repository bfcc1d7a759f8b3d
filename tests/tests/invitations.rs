//! Invitations, with real processes: a link lets one person in, once, with the role it names, before its time is over.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, and the line says where")]

use std::path::{Path, PathBuf};

use gemba_host::site_dir::SiteDir;
use gemba_record::role::Role;
use gemba_tests::editor::now;
use gemba_tests::plant_site::{eventually, generate};
use gemba_tests::program::{self, Ended, Program, Viewer};

const SMALL: [&str; 4] = ["--size", "320x180", "--seconds", "0.2"];

/// A site whose host lets nobody in whom the record does not know.
struct Closed {
    folder: tempfile::TempDir,
    host: Option<Program>,
    address: String,
}

impl Closed {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (model, site) = (folder.path().join("plant.glb"), folder.path().join("site"));
        generate(&model);
        program::run("gembactl", ["import".as_ref(), model.as_os_str(), "--site".as_ref(), site.as_os_str()]);
        let mut closed = Self { folder, host: None, address: String::new() };
        closed.serve("127.0.0.1:0");
        closed
    }

    fn site(&self) -> PathBuf {
        self.folder.path().join("site")
    }

    fn serve(&mut self, listen: &str) {
        let mut host = Program::start("gembad", [self.site().as_os_str(), "--listen".as_ref(), listen.as_ref()]);
        self.address = host.first_line();
        self.host = Some(host);
    }

    fn stop(&mut self) {
        self.host.take().unwrap().kill();
    }

    fn invite(&self, more: &[&str]) -> String {
        let site = self.site();
        let arguments = [&["invite", more[0], "--site", site.to_str().unwrap()], &more[1..]].concat();
        program::run("gembactl", arguments).stdout.trim().to_owned()
    }

    fn view(&self, link: &str, name: &str) -> Ended {
        let key = self.folder.path().join(format!("{name}.key"));
        let arguments = ["view", link, "--headless", "--key", key.to_str().unwrap()];
        Program::start("gemba", [&arguments[..], &SMALL].concat()).wait()
    }
}

fn refused(ended: &Ended, why: &str) {
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(why), "{why:?} is not said: {}", ended.stderr);
}

/// What people who came in are called, and what they may do.
fn people(site: &Path) -> Vec<(String, Role, bool)> {
    let site = SiteDir::open(site).unwrap();
    let peers = site.site().peers().filter(|(_, peer)| peer.kind == gemba_twin::peer::PeerKind::Person);
    let grants = peers.flat_map(|(_, peer)| peer.grants.iter().map(|grant| (peer.name.clone(), grant)));
    grants.map(|(name, grant)| (name, grant.role, grant.scope.is_some())).collect()
}

#[test]
fn an_invitation_lets_one_person_in_once_whether_the_host_ran_or_not() {
    let mut site = Closed::start();
    refused(&site.view(&site.address, "Mallory"), "gemba invite");
    let link = site.invite(&["operator", "--under", "Hall1/Line1", "--name", "Grace"]);
    let viewer = Viewer::start(&link, site.folder.path(), "Grace", &SMALL);
    assert_eq!(viewer.report()["errors"], serde_json::json!([]));
    refused(&site.view(&link, "Mallory"), "it has been used");
    let again = Viewer::start(&link, site.folder.path(), "Grace", &SMALL);
    assert_eq!(again.report()["errors"], serde_json::json!([]), "who is in comes again with the same link");
    site.stop();
    assert_eq!(people(&site.site()), [("Grace".to_owned(), Role::Operator, true)]);
    let link = site.invite(&["viewer"]);
    let listen = site.address.trim_start_matches("gemba://").split('/').next().unwrap().to_owned();
    site.serve(&listen);
    assert_eq!(site.view(&link, "Ada").code, Some(0), "an invitation made while the host was stopped");
    site.stop();
    assert_eq!(people(&site.site()).len(), 2);
}

#[test]
fn invitations_that_ended_or_were_forged_let_nobody_in() {
    let site = Closed::start();
    let link = site.invite(&["editor", "--for", "1s"]);
    let ends = now().plus_micros(1_100_000);
    eventually("a second passes", || (now() > ends).then_some(()));
    refused(&site.view(&link, "Late"), "it has ended");
    let (head, token) = link.rsplit_once('-').unwrap();
    let forged: String = token.chars().rev().collect();
    refused(&site.view(&format!("{head}-{forged}"), "Mallory"), "not in this site's record");
    let cut = Program::start("gemba", ["view", &link[..link.len() - 5], "--headless"]).wait();
    assert_eq!(cut.code, Some(2), "{}", cut.stderr);
    assert!(cut.stderr.contains("cut off"), "{}", cut.stderr);
}
