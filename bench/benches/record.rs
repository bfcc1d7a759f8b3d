//! What single steps of the record cost, on one core: to read an entry, to verify it, to fold it, to prove that it stands in
//! the log. `cargo bench --manifest-path bench/Cargo.toml`; the figures of whole paths are those of `gemba bench record`.

#![allow(missing_docs)] // Criterion's macros write functions without.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::entry::{EntryId, SiteId, UnverifiedEntry};
use gemba_record::log::Log;
use gemba_record::merkle::{Tree, leaf_hash, verify_inclusion};
use gemba_record::role::Role;
use gemba_twin::path::ThingPath;
use gemba_twin::peer::{PeerKey, PeerKind};

/// Entries looked at in one go, as a host under load does.
const BATCH: usize = 64;
const SITE: SiteId = SiteId([7; 16]);
/// Entries of the log that proofs are of.
const LOG: u64 = 1_000_000;

fn host() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

/// A founded log, and what its owner says next: 64 peers, each admitted by an entry.
fn log_and_entries() -> (Log, Vec<Vec<u8>>) {
    let (key, author) = (PeerKey(host().verifying_key().to_bytes()), Author::new(host(), SITE));
    let mut log = Log::new();
    log.append_signed(author.sign(Body::Found { name: "Bench".into(), host: key }, EntryId([0; 16])))
        .expect("a site is founded once");
    let admit = |n: usize| {
        let peer = PeerKey(SigningKey::from_bytes(&[n as u8 + 100; 32]).verifying_key().to_bytes());
        let body = Body::Admit { peer, kind: PeerKind::Person, name: format!("Person {n}"), role: Role::Editor };
        author.sign(body, EntryId([n as u8 + 1; 16])).into_parts().0
    };
    (log, (0..BATCH).map(admit).collect())
}

fn entries(c: &mut Criterion) {
    let (log, batch) = log_and_entries();
    let mut group = c.benchmark_group("64 entries");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("read", |b| {
        let read = |batch: Vec<Vec<u8>>| batch.into_iter().map(UnverifiedEntry::read).collect::<Vec<_>>();
        b.iter_batched(|| batch.clone(), |batch| black_box(read(batch)), BatchSize::SmallInput);
    });
    group.bench_function("read and verify", |b| {
        b.iter_batched(|| batch.clone(), |batch| black_box(log.preverify_all(batch)), BatchSize::SmallInput);
    });
    group.bench_function("fold what is verified", |b| {
        let verified = || (log.clone(), log.preverify_all(batch.clone()));
        let fold = |(mut log, verified): (Log, Vec<_>)| {
            for entry in verified {
                log.append_preverified(entry).expect("an owner may admit");
            }
            log
        };
        b.iter_batched(verified, fold, BatchSize::SmallInput);
    });
    // The peer: the same signatures, and nothing else.
    let signed: Vec<(Vec<u8>, Signature)> = batch.iter().map(|bytes| (bytes.clone(), host().sign(bytes))).collect();
    let key: VerifyingKey = host().verifying_key();
    group.bench_function("ed25519-dalek verify_strict alone", |b| {
        b.iter(|| assert!(signed.iter().all(|(bytes, signature)| key.verify_strict(bytes, signature).is_ok())));
    });
    group.finish();
}

fn notes(c: &mut Criterion) {
    let author = Author::new(host(), SITE);
    let thing = "Hall1/Line1".parse::<ThingPath>().expect("it is a path").id();
    c.bench_function("sign an entry", |b| {
        b.iter(|| black_box(author.sign(Body::note(thing, "Bearing 3 runs hot."), EntryId([9; 16]))));
    });
}

fn proofs(c: &mut Criterion) {
    let mut tree = Tree::default();
    (0..LOG).for_each(|n| tree.push(leaf_hash(&n.to_be_bytes())));
    let (index, root) = (LOG / 3, tree.root());
    let (leaf, proof) = (leaf_hash(&index.to_be_bytes()), tree.inclusion(index, LOG).expect("the entry is there"));
    let mut group = c.benchmark_group("a log of 1,000,000");
    group.bench_function("prove inclusion", |b| b.iter(|| black_box(tree.inclusion(index, LOG))));
    group.bench_function("verify inclusion", |b| {
        b.iter(|| assert!(verify_inclusion(&leaf, index, LOG, &proof, &root)));
    });
    group.bench_function("prove consistency", |b| b.iter(|| black_box(tree.consistency(LOG / 2, LOG))));
    group.finish();
}

criterion_group!(benches, entries, notes, proofs);
criterion_main!(benches);
