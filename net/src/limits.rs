//! How much of anything this crate takes in or keeps, with the reasoning beside the number.

use std::time::Duration;

/// By how much a host is tried earlier than the next that may be it: on a local line the one that is there answers first.
pub const HEAD_START: Duration = Duration::from_millis(50);
/// Largest control frame: an entry of 1,000 things with long paths is some 300 kB.
pub const FRAME_BYTES: usize = 4 << 20;
/// Largest first frame: a name and a few numbers, from a peer that nobody has let in yet.
pub const HELLO_BYTES: usize = 2048;
/// Largest entry that redeems an invitation: its fixed fields take some 350 bytes, a name 256 at most.
pub const REDEMPTION_BYTES: usize = 1024;
/// Entries of one frame end here, unless a single one is larger: a quarter of a second at 8 Mbit/s, so that answers and
/// pongs are not held up behind a newcomer's log.
pub const ENTRIES_BYTES: usize = 256 << 10;
/// Submissions that one peer has without an answer; further ones wait at its end.
pub const SUBMISSIONS_PER_PEER: usize = 1024;
/// Messages and poses of one peer that wait for the hub, which takes some 5 µs each: a peer that floods holds up the
/// others by less than 0.2 ms.
pub const INPUTS_PER_PEER: usize = 32;
/// Bytes of one peer's messages that wait for the hub or for an answer: two of the largest frames and a little. 1,024
/// peers that all do their worst take 9 GB; each of them has been let in by name.
pub const INPUT_BYTES_PER_PEER: usize = 2 * FRAME_BYTES + (1 << 20);
/// What a message counts at least among those bytes: [`SUBMISSIONS_PER_PEER`] and 128 other ones find room.
pub const INPUT_LEAST_BYTES: usize = INPUT_BYTES_PER_PEER / (SUBMISSIONS_PER_PEER + 128);
/// Control messages of one peer a second, and at once, submissions aside: pings are five a second, selections follow a
/// hand.
pub const MESSAGE_RATE: (u32, u32) = (100, 200);
/// Pose datagrams of one peer a second, and at once: a headset's 90 Hz with several bodies in its hands.
pub const POSE_RATE: (u32, u32) = (400, 60);
/// Ticks between two tellings of one peer's selection or invitation: a tenth of a second; a hand is slower, and each
/// goes to everyone.
pub const TELLING_TICKS: u64 = 10;
/// Bytes of control frames that wait for a slow peer: a live log's worst ten seconds; one that is further behind is let
/// go. What a newcomer lacks comes in pieces, each after the one before has been written.
pub const CONTROL_BYTES: usize = 16 << 20;
/// Sessions of one key at once: a desktop and a headset, and some that the network has not yet given up.
pub const SESSIONS_PER_KEY: usize = 16;
/// Events that wait for the host program beyond which nobody new comes in.
pub const PENDING_EVENTS: usize = 65_536;
/// Connections for blobs of one session: one, and one that ended without a word.
pub const BULK_LINES: usize = 2;
/// Connections being made from which on newcomers prove their address first.
pub const HANDSHAKES_UNPROVEN: usize = 64;
/// Connections being made: at some 20 kB each.
pub const HANDSHAKES: usize = 1024;
/// Pings after which a pose at rest is told again, since datagrams get lost, and between the later ones: every five
/// seconds, for ever. A line that loses one in ten shows the rest but for one time in ten thousand after 0.6 s.
pub const POSE_REPEATS: ([u32; 5], u32) = ([1, 2, 3, 5, 10], 25);
/// A pose older than the newest by less than this was overtaken on its way; by more, the host's clock was set back.
pub const POSE_OVERTAKEN: Duration = Duration::from_secs(1);
/// Largest telemetry frame: 20,000 samples at some 25 bytes.
pub const BATCH_BYTES: usize = 1 << 20;
/// Most samples in a telemetry frame; the rest goes into the next.
pub const BATCH_SAMPLES: usize = 20_000;
/// Tags of one question for the past; who wants more asks for all.
pub const RECALL_TAGS: usize = 4096;
/// Samples of each tag that a question may ask for: more than any screen has columns to show.
pub const RECALL_POINTS: u32 = 16_384;
/// Samples of one answer, at some 70 bytes each in memory: 70 MB. An instant of 1,000 tags takes 1,000.
pub const RECALL_SAMPLES: usize = 1_000_000;
/// Spans of one answer: a gateway that loses its devices every twenty seconds for a day.
pub const RECALL_SPANS: usize = 4096;
/// Spans of one answer that cannot be read: enough to see that a disk is failing.
pub const UNREADABLE_SPANS: usize = 32;
/// Longest reason why a span cannot be read, bytes.
pub const UNREADABLE_REASON_BYTES: usize = 200;
/// Largest first frame of an answer: all its spans at 18 bytes, what cannot be read at 223, and a little.
pub const RECALL_HEAD_BYTES: usize = 80 << 10;
/// Answers on their way to one peer at once: the newest, and one that it has replaced and whose end has not arrived.
pub const RECALL_STREAMS: u8 = 2;
/// Largest blob: the largest model that `twin` reads.
pub const BLOB_BYTES: u64 = gemba_twin::limits::MODEL_BYTES;
/// Blobs that a peer takes at once: with more, the nearest would come later.
pub const BLOBS_AT_ONCE: usize = 2;
/// What of a blob is verified at once: twice a second at 1 Mbit/s, and values of 0.05 % on top.
pub const BLOB_GROUP_BYTES: u64 = 64 << 10;
/// Longest name of a peer or site, bytes.
pub const NAME_BYTES: usize = 128;
/// Longest reason that one end tells the other, bytes.
pub const REASON_BYTES: usize = 1024;
/// Entries in one frame, beside [`FRAME_BYTES`].
pub const ENTRIES: usize = 4096;
/// Control frames that wait for a slow peer; one that is further behind is let go and comes back by itself.
pub const CONTROL_QUEUE: usize = 2048;
/// Events that wait for the program that polls: two seconds of a busy site.
pub const EVENT_QUEUE: usize = 8192;
/// What peers' lines have told the hub: room for all that every peer may have waiting.
pub const INPUT_QUEUE: usize = PEERS * (INPUTS_PER_PEER + 2);
/// Commands that wait for the link.
pub const COMMAND_QUEUE: usize = 1024;
/// Peers at one host.
pub const PEERS: usize = 1024;
/// Blob transfers a peer may have open at once.
pub const BLOBS_PER_PEER: usize = 8;
/// How often a blob that the host breaks off is asked for, and how long to wait in between: a host that is busy for
/// half a minute loses nobody.
pub const BLOB_TRIES: u32 = 60;
/// See [`BLOB_TRIES`].
pub const BLOB_RETRY: Duration = Duration::from_millis(500);
/// Bytes of poses in one datagram: below what every path carries (QUIC guarantees 1,200 less its own overhead).
pub const POSE_DATAGRAM_BYTES: usize = 1100;
/// Room in the kernel for what has arrived and was not read, bytes of packets with what Linux counts on top: some 2,700
/// small packets, which is what 500 peers send in 0.18 s. The system's own 208 KiB are full after a burst to 270.
pub const SOCKET_BYTES: usize = 1 << 20;
/// Packets that QUIC answers together, unless one has waited for 25 ms.
pub const PACKETS_PER_ACK: u32 = 4;
/// Between two bursts of poses. It is part of the way from a motion to its picture, so short while that costs little: 50 peers
/// take 0.13 of a core.
pub const TICK: Duration = Duration::from_millis(10);
/// In how many bursts everybody has been told once, with so many peers: it costs some 26 µs a peer, and with many of them a
/// motion of 30 Hz is told as it comes and not in halves.
pub const fn turns(peers: usize) -> u64 {
    match peers {
        0..=50 => 1,
        51..=200 => 2,
        _ => 3,
    }
}
/// Between two batches of telemetry to a peer: one frame at 50 Hz.
pub const TELEMETRY_TICK: Duration = Duration::from_millis(20);
/// Between two pings, which are also what tells a living host from a dead one.
pub const PING_INTERVAL: Duration = Duration::from_millis(200);
/// A host that says nothing for so long is lost (the product promises to notice within one second).
pub const SILENCE: Duration = Duration::from_millis(950);
/// A peer that says nothing for so long has left.
pub const IDLE: Duration = Duration::from_secs(4);
/// Longest a connection may take to stand.
pub const CONNECT: Duration = Duration::from_secs(3);
/// Longest that leaving may take, so that a program that ends does not seem to hang.
pub const GOODBYE: Duration = Duration::from_millis(300);
/// Shortest and longest wait before another try.
pub const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// Packets under way on a line of the test network: a second of 1,200-byte packets at 600 Mbit/s.
pub const TEST_NETWORK_PACKETS: usize = 65_536;
/// Packets from the target that wait for the proxy.
pub const TEST_NETWORK_RETURNS: usize = 8192;
/// Clients of one proxy, each with a socket: half of the 1,024 files that a process may usually open.
pub const TEST_NETWORK_CLIENTS: usize = 512;
/// A client of a full proxy that says nothing for so long is forgotten.
pub const TEST_NETWORK_IDLE: Duration = Duration::from_secs(10);
/// What the real-time connection may send to one peer, bytes a second: 50 Mbit/s. Poses, voice and 10,000 tags at 10 Hz
/// take 8; the log of a plant of 100,000 things, some 30 MB, has come in five seconds.
pub const REAL_TIME_BUDGET: u64 = 50_000_000 / 8;
/// What it may send on any line, bytes a second: one person's pose at 30 Hz and a few words.
pub const REAL_TIME_LEAST: u64 = 16_000;
/// Bodies of one lane, or with a lease: every part of a large plant that can be picked up, at some 0.4 kB each.
pub const BODIES: usize = 1 << 17;
/// Times a body was told that are kept: one for each tick that a packet may build on (65), and a few before.
pub const TOLD_PER_BODY: usize = 72;
/// Bodies of a lane that a simulation at both ends is asked about: the others are left to the lane's own guesses.
pub const BODIES_FORESEEN: usize = 1024;
/// Packets of a lane that are kept: those of 64 ticks at 16 a tick (18 kB each tick, 8 Mbit/s at 60 Hz).
pub const PACKETS_SENT: usize = 1024;
/// Bodies told in one packet: more would take a reader longer than a millisecond.
pub const BODIES_PER_PACKET: usize = 1024;
/// Most bytes of one body in a packet: three places of 33 bits, a rotation of as many, and its name.
pub const BODY_BYTES: usize = 48;
/// Samples of one avatar or body that are on their way to one peer at once: a second at 30 Hz. When so many have not been
/// acknowledged it is told as if nothing were known.
pub const RELAY_FLYING: usize = 32;
/// Packets of which a host still knows what they told: half a second of five in each burst, at some 100 bytes.
pub const RELAY_PACKETS: usize = 256;
/// Packets by which one may be overtaken and is still read.
pub const RELAY_LATE: usize = 128;
/// Bytes of poses a second to one peer: 0.4 Mbit/s, what a crowd of a hundred may take of one that they share with voices.
pub const POSE_BUDGET: u64 = 50_000;
/// What of it may be saved up: a host that was busy for so long makes up for it.
pub const POSE_BURST: Duration = Duration::from_millis(100);
/// What UDP and QUIC add to a datagram: IPv4 (20) and UDP (8); QUIC's flags, connection id and packet number (11), its
/// datagram frame's head (3) and its seal (16).
pub const DATAGRAM_OVERHEAD: usize = 58;
/// Presenters that one peer is told of whatever its budget says: 8 at 30 Hz and some 15 bytes are 29 kbit/s.
pub const HEROES: usize = 8;
/// What has not moved for so long rests: longer than a line jitters; and at most, however seldom it is told.
pub const REST_AFTER: (Duration, Duration) = (Duration::from_millis(150), Duration::from_millis(600));
/// A motion is passed on no more often than this: 33 Hz, whatever its tracker's rate.
pub const MOTION_INTERVAL: Duration = Duration::from_millis(28);
/// Until a rest that was not acknowledged is told again: at first, and at last.
pub const REST_REPEATS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));
/// How soon and how often a host looks at which bodies are in a peer's reach. All cells with bodies are looked at: for
/// 1,000 peers and 10,000 cells 40 ms in two seconds.
pub const LOOK_INTERVAL: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));
/// Numbers that a peer gives to what it holds, one after the other: a packet that was overtaken by so many grabs has
/// long been too late.
pub const HOLDS: usize = 256;
/// Between two answers to what a peer has told, where no packet goes its way that carries one.
pub const ACK_INTERVAL: Duration = Duration::from_millis(50);
/// Bodies that one peer may hold at once: two hands full.
pub const BODIES_HELD: usize = 32;
/// Grabs of one peer a second, and at once: each is told to everyone, and a hand is slower.
pub const GRAB_RATE: (u32, u32) = (5, 40);
/// A holder of whom nothing is heard for so long, not even a ping, holds nothing any more: others may take it.
pub const HOLDER_SILENCE: Duration = Duration::from_millis(1500);
/// How often a peer looks whether it owes its host an answer or has a rest to tell again: a tick of the slowest hosts.
pub const LANE_PULSE: Duration = Duration::from_millis(40);
/// Largest frame of a voice: 60 ms of speech at 24 kbit/s, or 20 ms at 80.
pub const VOICE_FRAME_BYTES: usize = 200;
/// Bytes of voice a second that one speaker may send: 80 kbit/s, more than speech needs.
pub const VOICE_SAYS: u64 = 10_000;
/// Frames of one speaker that wait for a burst.
pub const VOICE_WAITING: usize = 3;
/// Voices that one listener hears at once: more is a noise.
pub const VOICES: usize = 8;
/// Farthest that a voice carries, millimetres: across a bay of a hall.
pub const HEARD_WITHIN_MM: f32 = 25_000.0;
/// Bytes of voice a second to one listener: 0.52 Mbit/s, what poses and fingers leave of one. Eight speakers at 24 kbit/s and
/// 50 frames a second take 0.24.
pub const VOICE_BUDGET: u64 = 65_000;
/// Between two words of how fingers are bent while they move, and while they do not: any of them may get lost.
pub const FINGERS_INTERVAL: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));
/// Of whose fingers nothing was heard for so long, they have none.
pub const FINGERS_SILENCE: Duration = Duration::from_secs(2);
/// Bytes of fingers a second that one peer may send: two hands at 20 Hz, and half again.
pub const FINGERS_SAYS: u64 = 1_700;
/// Words of one peer's fingers that wait for a burst.
pub const FINGERS_WAITING: usize = 2;
/// People whose fingers one is told of at once: those that one talks to.
pub const FINGERS_PEOPLE: usize = 6;
/// Farthest that fingers are seen, millimetres: there one is as wide as a pixel of a headset.
pub const FINGERS_WITHIN_MM: f32 = 12_000.0;
/// Bytes of fingers a second to one peer: 80 kbit/s, six people with both hands at 20 Hz.
pub const FINGERS_BUDGET: u64 = 10_000;
/// Bytes of what is told to a newcomer at once of what is around it: some 1,700 bodies, in three round trips.
pub const JOIN_NEAR_BYTES: usize = 48 << 10;
/// Bodies that a newcomer is told of at once, without asking, at some 70 bytes each.
pub const BODIES_AT_ONCE: usize = 256;
/// Addresses of which a host remembers what was under way to them at once, at some 100 bytes each.
pub const SAVED_WINDOWS: usize = 1024;
/// TLS sessions that a host can resume, at some 300 bytes each: two of each connection.
pub const SESSIONS_RESUMABLE: usize = 4096;
/// Hosts to which a peer can come back early: those that succeed each other at one site.
pub const HOSTS_RESUMED: usize = 16;
/// When a host looks for the session that a connection for blobs belongs to: its hello may come a little later.
pub const HELLO_BEHIND: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(5), Duration::from_millis(50), Duration::from_millis(500)];
/// How often one session may ask where all bodies are: once, and again when a second connection has failed.
pub const JOINS: u32 = 3;
/// Largest piece for a newcomer: a manifest of as many cells as there may be bodies, or all of those in one cell.
pub const JOIN_PIECE_BYTES: usize = 4 << 20;
/// Windows in one frame, at some 60 bytes.
pub const BATCH_WINDOWS: usize = 4096;
/// What is told that waits for one subscriber before only the newest does: a twelfth of a second.
pub const FEED_AHEAD: usize = 4;
/// Kinds of telling that one subscriber wants at once: everything, what it has selected, and some trends.
pub const WANTS: usize = 16;
/// Tags that one of them names; who wants more names what they are under.
pub const WANT_TAGS: usize = 4096;
/// Different ways to want all tags at once: each costs a host some 100 ns a sample. Who wants another one is told all.
pub const WIDE_CHANNELS: usize = 16;
/// Longest interval between two tellings of a tag.
pub const WANT_INTERVAL: Duration = Duration::from_secs(3600);
