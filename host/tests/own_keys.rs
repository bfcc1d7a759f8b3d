//! The host's key is replaced in its directory while the power goes at any step: at the next start the host goes on with the
//! key that the record names, and none of its keys is lost.

#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use gemba_host::disk::{Faults, SimulatedDisk};
use gemba_host::key_file::{self, peer_key};
use gemba_host::site_dir::{Founding, KeyStanding, NEXT_KEY, SiteDir};
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::entry::{EntryId, KeyNumber, SiteId};
use gemba_record::identity::{Inception, KeyPromise, NewKey};
use gemba_record::role::Role;
use gemba_twin::peer::{PeerKey, PeerKind};

const SITE: SiteId = SiteId([1; 16]);

/// A site whose record names `next` as its host's key, while `first` still lies where the one in use does.
fn replaced(disk: &SimulatedDisk, [first, next, after]: &[SigningKey; 3]) {
    let founding = Founding { name: "Plant", site: SITE, host: first.clone(), owner: None, entry: EntryId([0; 16]) };
    let mut site = SiteDir::create_on(Arc::new(disk.clone()), founding).unwrap();
    let promise = |key| Some(KeyPromise::of(&peer_key(key)));
    let first = Author::new(first.clone(), SITE);
    let second = Author { number: KeyNumber(1), signing_key: next.clone(), ..first.clone() };
    let entries = [
        first.sign(Body::PromiseKey(Inception { next: promise(next), guardians: None }), EntryId([1; 16])),
        second.sign(Body::RotateKey(NewKey { key: peer_key(next), next: promise(after) }), EntryId([2; 16])),
    ];
    let outcomes = site.append(entries.map(|entry| entry.into_parts().0).to_vec()).unwrap().outcomes;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    drop(site);
    key_file::keep(disk, NEXT_KEY, next).unwrap();
    key_file::keep(disk, &format!("{NEXT_KEY}.next"), after).unwrap();
}

/// The seed is all that a failure needs.
#[test]
fn a_replacement_of_the_hosts_key_that_a_crash_breaks_off_is_finished_at_the_next_start() {
    let keys = [1, 2, 3].map(|n| SigningKey::from_bytes(&[n; 32]));
    let mut broken_off = 0;
    for seed in 0..200u64 {
        let disk = SimulatedDisk::new(seed);
        replaced(&disk, &keys);
        disk.set_faults(Faults { operations_left: Some(seed % 25), ..Faults::default() });
        broken_off += usize::from(SiteDir::open_on(Arc::new(disk.clone())).is_err());
        disk.crash();
        disk.set_faults(Faults::default());

        let mut site = SiteDir::open_on(Arc::new(disk.clone())).unwrap();
        assert_eq!(site.key_standing(), KeyStanding::InForce, "seed {seed}");
        assert_eq!(site.host_key().to_bytes(), keys[1].to_bytes(), "seed {seed}");
        let earlier: Vec<PeerKey> = site.earlier_keys().iter().map(peer_key).collect();
        assert_eq!(earlier, [peer_key(&keys[0])], "seed {seed}: who comes with an old address is still met");
        let after = key_file::load(&disk, NEXT_KEY).unwrap();
        assert_eq!(after.to_bytes(), keys[2].to_bytes(), "seed {seed}: the one that is promised is not lost");
        let (peer, name) = (peer_key(&SigningKey::from_bytes(&[9; 32])), "Ada".to_owned());
        site.submit(Body::Admit { peer, kind: PeerKind::Person, name, role: Role::Viewer }).unwrap();
    }
    assert!(broken_off > 20, "most steps of the replacement let a start fail: {broken_off}");
}
