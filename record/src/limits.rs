//! The size of everything that comes from outside, with the reasoning beside the number.

/// Largest signed entry in bytes: what the entry bundles of C2SP `tlog-tiles` can hold, whose lengths are 16 bits. A
/// thing of the demo plant takes some 100 to 400 bytes; a larger batch is several entries. What is bigger is a blob.
pub const ENTRY_BYTES: usize = 65_535;

/// Most things or tags one entry may carry: one entry is checked and folded without anyone noticing a pause.
pub const BATCH: usize = 1_000;

/// Bytes of things or tags after which [`crate::body::Body::add_things`] begins another entry. The largest single thing
/// (48 bindings of at most 1.1 kB and a path) takes some 53 kB and still fits into [`ENTRY_BYTES`] alone.
pub const BATCH_BYTES: usize = ENTRY_BYTES / 2;

/// Longest name of a site, peer or model in bytes.
pub const NAME_BYTES: usize = 256;

/// Longest note in bytes: a remark at a machine, not a manual.
pub const NOTE_BYTES: usize = 4096;

/// Most peers one site admits: every person and machine of a large plant.
pub const PEERS: usize = 100_000;

/// Most models one site imports.
pub const MODELS: usize = 10_000;

/// Most things of one site: as many nodes as the largest single model may have.
pub const THINGS: usize = gemba_twin::limits::MODEL_NODES;

/// Most tags of one site.
pub const TAGS: usize = gemba_twin::limits::TAGS;

/// Most notes of one site: one a minute for two years.
pub const NOTES: usize = 1_000_000;

/// Grants one peer may hold: a role for each of the halls and lines it works in.
pub const GRANTS_PER_PEER: usize = 64;

/// Invitations that are open or used; ended ones are forgotten when this is reached.
pub const INVITATIONS: usize = 10_000;

/// Machines that may host one site.
pub const HOSTS: usize = 8;

/// Guardians of one identity.
pub const GUARDIANS: usize = 16;

/// Keys one identity may ever have: one a month for 80 years.
pub const KEYS_OF_AN_IDENTITY: usize = 1_000;

/// Viewpoints of one site.
pub const VIEWPOINTS: usize = 10_000;

/// Commands the state remembers: all that are under way, and the newest of the others. The log has them all.
pub const COMMANDS: usize = 10_000;

/// Segments of the historian: one every five minutes for ten years.
pub const SEGMENTS: usize = 1_100_000;

/// Devices with samples in one segment: at 70 bytes each they fit into an entry.
pub const DEVICES_PER_SEGMENT: usize = 500;

/// Signatures by one key after which a table of its multiples (1.9 ms, 1.3 MB) has paid for itself: at 25 µs each less.
pub const SIGNATURES_BEFORE_TABLE: u32 = 128;

/// Keys with such tables, so that they take 42 MB at most.
pub const KEY_TABLES: usize = 32;

/// Keys whose signatures are counted.
pub const KEYS_MET: usize = 100_000;

/// Entries between two commitments to the state of the site. At 100,000 things and a million entries one takes some
/// 100 ms; what a host replays when it opens is at most twice this.
pub const ENTRIES_PER_STATE: u64 = 32_768;

/// Largest snapshot that is read, in bytes: a million entries (56 MB of ids) and a million things (300 MB) fit.
pub const SNAPSHOT_BYTES: usize = 1 << 30;

/// Longest checkpoint in bytes: origin, size, root and a few signature lines are well below 1 kB.
pub const CHECKPOINT_BYTES: usize = 64 << 10;

/// Most signatures below one checkpoint that are read; the specification asks for at least 16. A host, its witnesses
/// and mirrors.
pub const NOTE_SIGNATURES: usize = 64;

/// Full tiles of a log that are held to make proofs: 1 MB. A proof needs at most 7 of them, one a level.
pub const TILES_HELD: usize = 128;

/// Tiles fetched for one proof: 8 at the right edge and 7 on the way down, with room for those dropped meanwhile.
pub const TILES_FETCHED: usize = 64;

/// Most hashes in a proof that comes as lines of text, as `tlog-witness` has it: enough for 2^63 entries.
pub const PROOF_LINES: usize = 63;

/// Longest request to a witness in bytes: the old size, a proof of 63 lines and a checkpoint.
pub const SUBMISSION_BYTES: usize = CHECKPOINT_BYTES + 64 * 45;

/// Witnesses, and mirrors, that one policy may name; `tlog-policy` asks for at least 32.
pub const POLICY_MEMBERS: usize = 64;

/// Logs that one witness watches: 1 kB each.
pub const WITNESSED_LOGS: usize = 10_000;

/// Longest proof file in bytes: a checkpoint, 63 hashes, and 64 kB of extra data in base64.
pub const PROOF_FILE_BYTES: usize = CHECKPOINT_BYTES + 64 * 45 + (96 << 10);

/// Longest request with entries that a mirror takes at once: one package of the largest entries, with its proof and
/// head. With usual entries of 250 bytes that is 250 packages, 64,000 entries.
pub const UPLOAD_BYTES: usize = crate::tile::BUNDLE_BYTES + 64 * 32 + ENTRY_BYTES + 64;

/// Entries of a stored log that are verified together: enough to share what can be shared, and little to hold.
pub const REPLAY_BATCH: usize = 64;
