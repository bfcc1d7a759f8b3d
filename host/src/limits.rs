//! How much is taken at once, with the reasoning beside the number.

use std::time::Duration;

/// Longest time a stopping host spends on telling its peers so.
pub const FAREWELL: Duration = Duration::from_millis(500);

/// How long what the disk would not take waits for another try: somebody has to make room for it first.
pub const DISK_RETRY: Duration = Duration::from_secs(1);

/// Time between two steps of reading the record again, of [`READ_BYTES`] each: 4 MiB/s, which nobody notices, and a
/// million entries in 70 s.
pub const SCRUB_EVERY: Duration = Duration::from_millis(250);

/// How long mirrors that could not mend the record are left alone: somebody has to bring one up first.
pub const MEND_AGAIN: Duration = Duration::from_secs(10);

/// Time before it is read once more.
pub const SCRUB_AGAIN: Duration = Duration::from_secs(24 * 3600);

/// Most entries that are handled at once: what peers have sent is taken from them, and read back from the disk, in pieces
/// of this many, and what the host says itself is committed so.
pub const BATCH_ENTRIES: usize = 512;

/// Most entries of one commit of what peers say. While the disk takes them, the next ones are verified, which takes two
/// cores longer than this: larger commits would be taken little faster, and answered later.
pub const COMMIT_ENTRIES: usize = 32;

/// How far an author's clock may be ahead of the host's, microseconds. Clocks that are set by the network agree within a
/// second; what is further ahead would make the record's time, which never goes back, wrong for all that come after.
pub const CLOCK_AHEAD_MICROS: i64 = 5 * 60 * 1_000_000;

/// Longest reason for which a command failed, bytes: within what the record takes.
pub const OUTCOME_BYTES: usize = 512;

/// Commands that may be on their way to devices at once; further ones wait in the record.
pub const ORDERS: usize = 64;

/// Entries that are worth another thread: waking one takes some 30 µs, verifying as many 200 µs or more.
pub const ENTRIES_PER_THREAD: usize = 16;

/// Entries whose signatures a thread looks at in one go: the division that they share costs each 0.1 µs then, and whoever
/// folds them waits 0.3 ms for the first.
pub const ENTRIES_PER_SHARE: usize = 32;

/// Shares that are claimed ahead of the one that is folded: the other cores go on while it waits for the disk.
pub const SHARES_AHEAD: usize = 6;

/// Zeros that the record's file grows by at once, least and most: a quarter of it. The most has room for some 3,700 entries,
/// so that none of them pays more than 0.5 µs for it.
pub const ROOM_BYTES: (u64, u64) = (4 << 10, 1 << 20);

/// Commits that are folded and wait for the disk: when a sync takes longer than usual the cores go on, and afterwards the
/// disk has something to do at once. With one, a host took a fifth less.
pub const COMMITS_AHEAD: usize = 4;

/// Bytes of entries after which a batch read for a peer ends; a single larger entry still goes out alone.
pub const READ_BYTES: usize = 1 << 20;

/// Time between two published checkpoints: what others wait for at most before they can prove an entry.
pub const PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// HTTP connections at once: a witness or mirror has a few clients, and a web server in front has more.
pub const HTTP_CONNECTIONS: usize = 64;

/// How long a client may take for the head of a request.
pub const HTTP_HEADER_TIME: Duration = Duration::from_secs(10);

/// How long a connection may last: 16 MB at 1 Mbit/s take 2 minutes.
pub const HTTP_CONNECTION_TIME: Duration = Duration::from_secs(180);

/// Pause after a connection could not be taken: the system lacks files, which others have to close first.
pub const HTTP_ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How long an answer to one question may take.
pub const HTTP_ASK_TIME: Duration = Duration::from_secs(30);

/// How long a witness or mirror may take for one answer: what hangs delays only what is final.
pub const COSIGN_TIME: Duration = Duration::from_secs(10);

/// After how long members that did not cosign are asked again while nothing new is published.
pub const COSIGN_RETRY: Duration = Duration::from_secs(10);

/// How long a thread that waits for work waits at once.
pub const IDLE: Duration = Duration::from_secs(3600);

/// Requests to one mirror in one round: as many as a mirror that begins with 1,000,000 entries needs, and then some.
pub const UPLOADS: usize = 512;

/// Entries in one request to a mirror, of which the packages of 256 must be a whole number.
pub const UPLOAD_ENTRIES: u64 = 4_096;

/// Entries that an audit names one by one when they are not those that were signed: as many as a person reads.
pub const FINDINGS: usize = 20;

/// Largest entry the store takes: four times what the record takes today, so that the format outlives that number.
pub const STORED_ENTRY_BYTES: usize = 4 << 20;

/// Bytes the store reads or writes at once when it goes along its file: a disk is busy for a millisecond with them.
pub const WINDOW_BYTES: usize = 256 << 10;

/// Entries between two points of the store's index: to find one, at most so many are passed over (some 20 kB), and
/// the index of 1,000,000 entries takes 375 kB.
pub const INDEX_ENTRIES: u64 = 64;

/// Bytes between two points of the store's index, where entries are large.
pub const INDEX_BYTES: u64 = 1 << 20;

/// Longest small file kept beside the record: as long as a checkpoint may be.
pub const SMALL_BYTES: usize = gemba_record::limits::CHECKPOINT_BYTES;

/// Longest name, in characters, taken over from a person who comes in for the first time: 4 bytes each stay within what
/// the record takes.
pub const GUEST_NAME_CHARS: usize = 64;

/// Blobs that are read from the disk at once: what keeps a disk busy, and few enough that the record's fsync gets its
/// turn.
pub const BLOB_READERS: usize = 4;

/// Bytes of a blob that are read at once; for each of a peer's nine streams two such parts may be in memory.
pub const BLOB_PART_BYTES: usize = 256 << 10;

/// Samples after which a segment is closed whatever its age: 64 MiB in memory at 32 bytes each, some 6 MB on disk, and
/// at most two of them wait for the disk beside the one that grows.
pub const SEGMENT_SAMPLES: usize = 2 << 20;

/// Bytes of texts after which a segment is closed.
pub const SEGMENT_TEXT_BYTES: usize = 64 << 20;

/// Closed segments that may wait for the disk; with more, samples are refused.
pub const WAITING_SEGMENTS: usize = 2;

/// Most samples the historian takes in one call, which bounds how far a segment outgrows [`SEGMENT_SAMPLES`].
pub const APPEND_SAMPLES: usize = 1 << 20;

/// Between two fsyncs of the journal, microseconds: what a crash can take.
pub const JOURNAL_SYNC_MICROS: i64 = 1_000_000;

/// How long a segment that could not be written waits for another try, microseconds: disks are not freed faster.
pub const SEAL_RETRY_MICROS: i64 = 10_000_000;

/// A segment in which nothing was said is closed when it is this old, microseconds: its journal still grows by a word a
/// second, 2 MB a day.
pub const QUIET_SEGMENT_MICROS: i64 = 24 * 3600 * 1_000_000;

/// A clock that goes back by less is held; by more, a new segment begins. NTP slews what is smaller, microseconds.
pub const CLOCK_BACK_MICROS: i64 = 1_000_000;

/// How late a sample may come and still stand at its source time, microseconds: a day, for gateways that store while a
/// line is down and for devices whose clock has the wrong time zone.
pub const LATE_MICROS: i64 = 24 * 3600 * 1_000_000;

/// Rows that are coded or decoded at once: 64 bytes each, 4 MiB.
pub const BATCH_ROWS: usize = 1 << 16;

/// Rows of one row group: what pandas and DuckDB like to read in parallel, and what bounds the writer's memory.
pub const ROW_GROUP_ROWS: usize = 1 << 20;

/// Rows of one page, the least that is read for one tag: 256 KiB of a column. Half of it costs 0.2 bytes a sample, since
/// zstd finds less that repeats; more gains nothing.
pub const PAGE_ROWS: usize = 32_768;

/// Largest dictionary of one column of a row group; beyond it values are written out: paths of 100,000 tags.
pub const DICTIONARY_BYTES: usize = 8 << 20;

/// zstd's level for segments, measured on the simulator's data: see R4 of `./gemba bench record`.
pub const ZSTD_LEVEL: i32 = 3;

/// Most samples one recall returns, all tags together: 1,000 tags with 1,000 points, some 100 MB.
pub const RECALL_SAMPLES: usize = 1_000_000;

/// Up to so many tags a segment's pages are chosen by its page index; more are in most pages anyway.
pub const FEW_TAGS: usize = 32;

/// How long after a thing was let go it is kept on the disk where it lies: a busy hall writes one small file in that time.
pub const RESTS_KEPT_AFTER: Duration = Duration::from_secs(2);

/// Largest file of where things lie: all bodies that a host has, at some 60 bytes.
pub const RESTS_BYTES: u64 = 8 << 20;

/// Jobs that may wait for the historian's thread: ten seconds of a gateway's batches.
pub const HISTORY_JOBS: usize = 256;

/// Samples that may wait for the historian's thread, at some 40 bytes each; with more, the newest are left out of history.
pub const HISTORY_SAMPLES: usize = 2 << 20;

/// How often the historian's thread looks after its journal and its segments.
pub const HISTORY_POLL: Duration = Duration::from_millis(100);

/// How long a history that cannot be opened, or a record that takes no segments, is left alone.
pub const HISTORY_RETRY: Duration = Duration::from_secs(10);

/// Segments of which the record is told at once: after a start, five hours' worth in one commit.
pub const REPORTED_SEGMENTS: usize = 64;

/// Most questions for the past that are worked on at once, each with up to 100 MB; half of the cores stay for what happens
/// now.
pub const RECALLS_AT_ONCE: usize = 4;

/// How long a host with an heir takes entries after the heir has heard it: five words at 200 ms, three of which a bad
/// line may lose.
pub const LEASE: Duration = Duration::from_millis(1500);

/// Shortest silence after which an heir takes over: [`LEASE`], and as much again for clocks that do not run alike and
/// for a host that was in the middle of something.
pub const LEAST_PATIENCE: Duration = Duration::from_secs(2);

/// How often an heir speaks.
pub const STAND_BY_WORDS: Duration = Duration::from_millis(200);

/// How long a host that starts waits for the answer of another that may have succeeded it, and how often one whose heir
/// is silent asks again.
pub const SUCCESSOR_ASKED: Duration = Duration::from_secs(1);

/// How often what the heir holds is written down.
pub const BOND_KEPT: Duration = Duration::from_secs(1);

/// How long a host that is not admitted yet, or whose host is refused, waits before it tries to follow again.
pub const FOLLOW_RETRY: Duration = Duration::from_secs(2);

/// Blobs that a host which stands by fetches at once: each is in memory as a whole.
pub const BLOBS_FOLLOWED: usize = 1;
