//! A site directory keeps what it was given, and says in one line what is wrong with one it cannot use.

#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use std::fs;
use std::path::Path;

use ed25519_dalek::SigningKey;
use gemba_host::problem::SiteDirError;
use gemba_host::site_dir::SiteDir;
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::checkpoint::{self, Checkpoint};
use gemba_record::entry::EntryId;
use gemba_record::refusal::Refusal;
use gemba_record::role::Role;
use gemba_record::site::Placed;
use gemba_twin::path::ThingPath;
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::thing::Thing;

const FILE: &[u8] = b"glTF and so on";

fn thing(path: &str) -> Thing {
    Thing { path: path.parse().unwrap(), level: Default::default(), class: Default::default(), bindings: vec![] }
}

/// A site with a model and one thing.
fn imported(dir: &Path) -> SiteDir {
    let mut site = SiteDir::open_or_create(dir, "Plant").unwrap();
    let blob = site.put_blob(FILE).unwrap();
    let mut bodies = vec![Body::ImportModel { blob, bytes: FILE.len() as u64, name: "plant.glb".into() }];
    bodies.extend(Body::add_things(blob, vec![thing("Hall1")]));
    assert_eq!(site.submit_all(bodies).unwrap(), 1..3);
    site
}

fn note(text: &str) -> Body {
    Body::note("Hall1".parse::<ThingPath>().unwrap().id(), text)
}

fn problem(result: Result<SiteDir, SiteDirError>) -> String {
    match result {
        Ok(_) => panic!("opened what must not open"),
        Err(error) => {
            let line = error.to_string();
            assert!(!line.contains('\n') && line.len() < 400, "{line}");
            line
        }
    }
}

#[test]
fn a_site_opened_again_is_the_same() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("deep/plant");
    let (digest, root, entries) = {
        let mut site = imported(&dir);
        assert_eq!(site.submit(note("loud")).unwrap(), 3);
        (site.site().digest(), site.log().root(), site.read_entries(0).unwrap())
    };
    let site = SiteDir::open(&dir).unwrap();
    assert_eq!((site.site().digest(), site.log().root()), (digest, root));
    assert_eq!(site.read_entries(0).unwrap(), entries);
    assert_eq!(site.read_entries(3).unwrap(), entries[3..]);
    assert!(site.read_entries(4).unwrap().is_empty());
    assert_eq!(site.site().notes()[0].text, "loud");
    let model = &site.site().models()[0];
    assert_eq!(site.blob(&model.blob).unwrap().as_deref(), Some(FILE));
    assert_eq!(site.blob(&[0; 32]).unwrap(), None);
    let host = PeerKey(site.host_key().verifying_key().to_bytes());
    let stated = Checkpoint::verify(&site.checkpoint(), &checkpoint::origin(site.site().id()), &host).unwrap();
    assert_eq!((stated.size, stated.root), (4, root));
}

#[test]
fn one_refused_entry_does_not_keep_the_others_out() {
    let temp = tempfile::tempdir().unwrap();
    let mut site = imported(temp.path());
    let owner = Author::new(site.host_key().clone(), site.site().id());
    let stranger = Author::new(SigningKey::from_bytes(&[9; 32]), owner.site);
    let entry = |author: &Author, n| author.sign(note("hm"), EntryId([n; 16])).bytes().to_vec();
    let batch = vec![entry(&owner, 1), entry(&stranger, 2), entry(&owner, 1), b"noise".to_vec(), entry(&owner, 3)];
    let appended = site.append(batch).unwrap();
    assert_eq!(appended.outcomes[0], Ok(Placed::New(3)));
    assert_eq!(appended.outcomes[1], Err(Refusal::NotAdmitted));
    assert_eq!(appended.outcomes[2], Ok(Placed::Held(3)));
    assert!(matches!(appended.outcomes[3], Err(Refusal::Unreadable(_))));
    assert_eq!(appended.outcomes[4], Ok(Placed::New(4)));
    assert_eq!((appended.first, appended.entries.len()), (3, 2));
    assert_eq!(site.read_entries(3).unwrap(), appended.entries);
}

#[test]
fn the_host_of_a_site_owned_by_another_may_only_look() {
    let temp = tempfile::tempdir().unwrap();
    let owner = SigningKey::from_bytes(&[3; 32]);
    let mut site = SiteDir::create_for(temp.path(), "Plant", &owner).unwrap();
    let peer = PeerKey(SigningKey::from_bytes(&[4; 32]).verifying_key().to_bytes());
    let admit = Body::Admit { peer, kind: PeerKind::Person, name: "x".into(), role: Role::Viewer };
    let refused = site.submit(admit).unwrap_err();
    assert!(matches!(refused, SiteDirError::Refused(Refusal::Role { has: Role::Viewer, .. })), "{refused}");
}

#[test]
fn a_directory_that_is_no_site_is_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("thesis.txt"), "precious").unwrap();
    assert!(problem(SiteDir::open_or_create(temp.path(), "x")).contains("holds files but no site"));
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    let missing = temp.path().join("nothing");
    assert!(problem(SiteDir::open(&missing)).contains("does not exist"));
    assert!(!missing.exists());
    assert!(problem(SiteDir::create(&temp.path().join("thesis.txt/site"), "x")).contains("thesis.txt"));
}

#[test]
fn an_interrupted_creation_is_taken_up_again() {
    let temp = tempfile::tempdir().unwrap();
    drop(imported(temp.path()));
    fs::rename(temp.path().join("site.redb"), temp.path().join("site.redb.new")).unwrap();
    let key = fs::read(temp.path().join("host.key")).unwrap();
    let site = SiteDir::open_or_create(temp.path(), "Again").unwrap();
    assert_eq!((site.site().name(), site.site().entries()), ("Again", 1));
    assert_eq!(fs::read(temp.path().join("host.key")).unwrap(), key);
    drop(site);
    assert_eq!(SiteDir::open(temp.path()).unwrap().site().entries(), 1);
}

#[test]
fn a_site_in_use_is_refused_to_a_second_process() {
    let temp = tempfile::tempdir().unwrap();
    let site = imported(temp.path());
    assert!(problem(SiteDir::open(temp.path())).contains("in use by another process"));
    assert!(problem(SiteDir::create(temp.path(), "x")).contains("is a site already"));
    drop(site);
    SiteDir::open(temp.path()).unwrap();
}

#[test]
fn a_site_made_by_a_newer_gemba_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    drop(imported(temp.path()));
    let database = redb::Database::open(temp.path().join("site.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("meta");
    transaction.open_table(meta).unwrap().insert("format", 2u32.to_be_bytes().as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let line = problem(SiteDir::open(temp.path()));
    assert!(line.contains("made by a newer Gemba (format 2); this one reads up to format 1"), "{line}");
}

#[test]
fn a_damaged_site_says_what_is_damaged() {
    let temp = tempfile::tempdir().unwrap();
    let site = imported(temp.path());
    let blob = site.site().models()[0].blob;
    let name: String = blob.iter().map(|b| format!("{b:02x}")).collect();
    fs::write(temp.path().join("blobs").join(&name), "other bytes").unwrap();
    assert!(matches!(site.blob(&blob), Err(SiteDirError::DamagedBlob(_))));
    assert_eq!(site.put_blob(FILE).unwrap(), blob);
    assert_eq!(site.blob(&blob).unwrap().as_deref(), Some(FILE));
    drop(site);

    let database = redb::Database::open(temp.path().join("site.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    let entries: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("entries");
    let flipped = {
        let mut table = transaction.open_table(entries).unwrap();
        let mut bytes = redb::ReadableTable::get(&table, 1).unwrap().unwrap().value().to_vec();
        bytes[50] ^= 1;
        table.insert(1, bytes.as_slice()).unwrap();
        bytes
    };
    transaction.commit().unwrap();
    drop(database);
    assert!(!flipped.is_empty());
    assert!(problem(SiteDir::open(temp.path())).contains("entry 1 of the record is damaged or forged"));

    fs::write(temp.path().join("site.redb"), vec![7; 9000]).unwrap();
    assert!(problem(SiteDir::open(temp.path())).contains("site.redb"));
}

#[test]
fn a_lost_or_exchanged_host_key_is_noticed() {
    let temp = tempfile::tempdir().unwrap();
    drop(imported(temp.path()));
    let key = temp.path().join("host.key");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    }
    fs::remove_file(&key).unwrap();
    assert!(problem(SiteDir::open(temp.path())).contains("host.key"));
    assert!(!key.exists());
    fs::write(&key, "no key").unwrap();
    assert!(problem(SiteDir::open(temp.path())).contains("holds no secret key"));
    fs::write(&key, "07".repeat(32)).unwrap();
    assert!(problem(SiteDir::open(temp.path())).contains("is not the key of this site's host"));
}
