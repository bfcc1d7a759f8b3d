//! Writes real inputs of every decoder into `fuzz/corpus/TARGET/`, for the fuzzer to begin with:
//!
//! `cargo run --manifest-path fuzz/Cargo.toml --example seeds`
//!
//! Only needed after a format has changed. What the fuzzer found by itself and is worth keeping lies beside them, under
//! names that are its hashes.

use std::path::Path;
use std::{fs, io};

use ed25519_dalek::SigningKey;
use gemba_host::blobs::Blobs;
use gemba_host::historian::{Historian, HistorianConfig, Sealed};
use gemba_net::body::{Body, BodyNumber, BodyReceiver, BodySender, Epoch, Lease, Placement, Precision};
use gemba_net::fingers::{self, Fingers};
use gemba_net::join::{JoinTable, Pieces, StillBody};
use gemba_net::nearby::{FINGERS, VOICE};
use gemba_net::wire::{BodyNews, PoseDown, PoseUp, ToHost, ToPeer, frame};
use gemba_net::{Address, Hello, PeerInfo, PeerNumber, Pose, TagSample, TrackedPoint, telemetry};
use gemba_record::checkpoint::{Checkpoint, SignedCheckpoint, origin};
use gemba_record::cosignature::Cosigner;
use gemba_record::entry::SiteId;
use gemba_record::log::Log;
use gemba_record::merkle::{Tree, leaf_hash};
use gemba_record::mirror::{Package, Upload};
use gemba_record::proof_file::ProofFile;
use gemba_record::site::Site;
use gemba_record::tile::Bundle;
use gemba_record::witness::Submission;
use gemba_twin::path::{TagId, ThingId, ThingPath};
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::sample::{Quality, Sample, Timestamp, Value};

fn main() -> io::Result<()> {
    for (target, seeds) in [
        ("blob_stream", blob_streams()),
        ("body_packets", body_packets()),
        ("checkpoint", checkpoints()),
        ("historian_catalogue", catalogues()?),
        ("historian_journal", journals()),
        ("historian_segment", segments()?),
        ("cosigner_requests", requests()),
        ("join_pieces", join_pieces()),
        ("log_tiles", published()),
        ("model_outline", models()),
        ("packed_samples", packed()),
        ("proof_file", proofs()),
        ("record_entry", entries()?),
        ("site_address", addresses()),
        ("snapshot", snapshots()?),
        ("store_files", stores()),
        ("telemetry_batch", batches()),
        ("wire_messages", messages()),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in seeds {
            fs::write(folder.join(format!("seed-{name}")), bytes)?;
        }
    }
    Ok(())
}

type Seeds = Vec<(String, Vec<u8>)>;

fn numbered(all: impl IntoIterator<Item = Vec<u8>>) -> Seeds {
    all.into_iter().enumerate().map(|(n, bytes)| (n.to_string(), bytes)).collect()
}

/// The record's golden entries: hexadecimal, one a line; the last line is a digest.
fn entries() -> io::Result<Seeds> {
    let golden = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../record/tests/golden.txt"))?;
    let lines: Vec<&str> = golden.lines().collect();
    Ok(numbered(lines.iter().filter(|line| line.len() > 64).map(|line| from_hex(line))))
}

/// The state after each of them.
fn snapshots() -> io::Result<Seeds> {
    let mut log = Log::new();
    let mut all = Vec::new();
    for (_, entry) in entries()? {
        log.replay_next(entry).map_err(io::Error::other)?;
        all.extend(log.site().map(Site::snapshot));
    }
    Ok(numbered(all))
}

fn from_hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("golden entries are hexadecimal") as u8;
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// The kind of file, and what makes one of that kind: see `gemba_host::store::hostile`.
fn stores() -> Seeds {
    let words = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let frames: Vec<u8> = (0..6u8).flat_map(|n| [&[n, 7][..], b"entry n"].concat()).collect();
    let bodies = [b"gemba record".to_vec(), vec![0; 48], vec![0; 64], words(&[9]), words(&[0, 64, 3, 200]), frames];
    numbered((0u8..).zip(bodies).map(|(kind, body)| [vec![kind], body].concat()))
}

fn checkpoints() -> Seeds {
    let key = SigningKey::from_bytes(&[1; 32]);
    let origin = origin(SiteId([5; 16]));
    let note = |size| Checkpoint { origin: origin.clone(), size, root: [size as u8; 32] }.sign(&key);
    let mut all = vec![note(0), note(7), note(u64::MAX)];
    all.push(format!("{}\u{2014} witness.example/w {}\n", note(7), "A".repeat(104)));
    numbered(all.into_iter().map(String::into_bytes))
}

/// A log of twenty entries as its host states it.
fn small_log() -> (Tree, Vec<Vec<u8>>, SignedCheckpoint) {
    let entries: Vec<Vec<u8>> = (0..20u8).map(|n| vec![n; 5]).collect();
    let mut tree = Tree::default();
    entries.iter().for_each(|entry| tree.push(leaf_hash(entry)));
    let stated = Checkpoint { origin: origin(SiteId([5; 16])), size: tree.size(), root: tree.root() };
    let signed = SignedCheckpoint::read(&stated.sign(&SigningKey::from_bytes(&[1; 32])));
    (tree, entries, signed.expect("what was just written reads"))
}

fn proofs() -> Seeds {
    let (tree, entries, signed) = small_log();
    let cosigner = Cosigner::new("w", SigningKey::from_bytes(&[2; 32])).expect("a strong key");
    let mut cosigned = signed.clone();
    cosigned.add(cosigner.cosign(&signed, 1_790_000_000));
    let file = |index: u64, extra, checkpoint| {
        let proof = tree.inclusion(index, tree.size()).expect("it is in the log");
        ProofFile { extra, index, proof, checkpoint }.to_string().into_bytes()
    };
    numbered([file(0, None, signed), file(19, Some(entries[19].clone()), cosigned)])
}

fn requests() -> Seeds {
    let (tree, entries, checkpoint) = small_log();
    let (origin, end) = (checkpoint.checkpoint().origin.clone(), tree.size());
    let submission = Submission { old: 0, proof: Vec::new(), checkpoint: checkpoint.clone() };
    let proof = tree.consistency(7, 20).expect("both sizes were the log's");
    let later = Submission { old: 7, proof, checkpoint };
    let packages = vec![Package { entries, proof: vec![[3; 32]] }];
    let upload = Upload { origin: origin.clone(), start: 0, end, packages };
    let asking = Upload { origin, start: 0, end: 0, packages: Vec::new() };
    let info = b"20\n7\n\n".to_vec();
    numbered([submission.encode().into_bytes(), later.encode().into_bytes(), upload.encode(), asking.encode(), info])
}

fn published() -> Seeds {
    let paths = ["checkpoint", "tile/0/x001/234", "tile/entries/000.p/20", "tile/5/x123/x456/789.p/1"];
    let (_, entries, _) = small_log();
    let bundle = Bundle::encode(entries.iter().map(Vec::as_slice)).expect("twenty entries fit");
    let sized = |bytes: &[u8]| [&20u16.to_be_bytes()[..], bytes].concat();
    let paths = paths.iter().map(|path| path.as_bytes().to_vec());
    numbered(paths.chain([sized(&bundle), sized(&[7; 20 * 32]), sized(&[7; 256 * 32])]))
}

fn addresses() -> Seeds {
    let key = PeerKey(SigningKey::from_bytes(&[1; 32]).verifying_key().to_bytes());
    let address = |host: &str| Address { host: host.into(), port: 7440, site: "demo".into(), key }.to_string();
    numbered(["127.0.0.1", "::1", "plant.example"].map(|host| address(host).into_bytes()))
}

/// Payloads as the historian writes them (its module says which): a head, a tag, the clock, samples of that tag, an end.
fn journals() -> Seeds {
    let framed = |payloads: &[Vec<u8>]| {
        let mut all = Vec::new();
        for payload in payloads {
            all.extend_from_slice(&(payload.len() as u16).to_le_bytes());
            all.extend_from_slice(payload);
        }
        all
    };
    let head = [&[b'H', 1][..], &3u64.to_le_bytes(), &1_790_000_000_000_000i64.to_le_bytes()].concat();
    let tag = |n: u32| [&b"T"[..], &n.to_le_bytes(), &[7; 32], format!("Hall1/T{n}").as_bytes()].concat();
    let samples = |count: usize| [&b"S"[..], &telemetry::encode(&(0..count).map(sample).collect::<Vec<_>>())].concat();
    let at = |kind: u8, secs: i64| [&[kind][..], &(1_790_000_000_000_000 + secs * 1_000_000).to_le_bytes()].concat();
    let whole = [head.clone(), tag(0), tag(37), tag(74), at(b'N', 1), samples(3), at(b'C', 9)];
    numbered([framed(&[head.clone()]), framed(&whole), framed(&[head, tag(0), samples(1), samples(40)])])
}

/// What the historian makes of so many samples in this folder.
fn history(dir: &Path, count: usize) -> io::Result<(Historian, Blobs, Vec<Sealed>)> {
    let blobs = Blobs::open(dir.join("blobs")).map_err(io::Error::other)?;
    let begun = Timestamp(1_790_000_000_000_000);
    let mut historian = Historian::open(&dir.join("history"), blobs.clone(), HistorianConfig::default(), begun)
        .map_err(io::Error::other)?;
    for n in 0..count as u32 {
        let path = format!("Hall1/Line{}/Tank{n}/Level", n % 3).parse().expect("it is a path");
        historian.declare(TagId(n * 37), &path, PeerKey([7 + (n % 2) as u8; 32]));
    }
    let samples: Vec<TagSample> = (0..count).map(sample).collect();
    let end = begun.plus_micros(2_000_000);
    historian.append(&samples, end).map_err(io::Error::other)?;
    let sealed = historian.seal(end).map_err(io::Error::other)?;
    Ok((historian, blobs, sealed))
}

fn segments() -> io::Result<Seeds> {
    let folder = std::env::temp_dir().join(format!("gemba-seeds-{}", std::process::id()));
    let mut all = Vec::new();
    for count in [1, 40] {
        let dir = folder.join(count.to_string());
        let (_, blobs, sealed) = history(&dir, count)?;
        for sealed in sealed {
            all.extend(blobs.read(&sealed.blob.0).map_err(io::Error::other)?);
        }
        if count == 1 {
            all.push(fs::read(dir.join("history/start-0.parquet"))?);
        }
    }
    fs::remove_dir_all(folder)?;
    Ok(numbered(all))
}

/// The lines of catalogues, out of their frames (length u32, checksum 8 bytes): of segments that the record knows of and not.
fn catalogues() -> io::Result<Seeds> {
    let folder = std::env::temp_dir().join(format!("gemba-catalogues-{}", std::process::id()));
    let mut all = Vec::new();
    for is_confirmed in [false, true] {
        let dir = folder.join(is_confirmed.to_string());
        let (mut historian, _, sealed) = history(&dir, 40)?;
        for sealed in sealed.iter().filter(|_| is_confirmed) {
            historian.confirm(sealed).map_err(io::Error::other)?;
        }
        let file = fs::read(dir.join("history/catalogue"))?;
        let (mut rest, mut lines) = (file.as_slice(), Vec::new());
        while let Some((length, more)) = rest.split_first_chunk::<4>() {
            let (line, more) = more[8..].split_at(u32::from_le_bytes(*length) as usize);
            lines.extend_from_slice(&(line.len() as u16).to_le_bytes());
            lines.extend_from_slice(line);
            rest = more;
        }
        all.push(lines);
    }
    fs::remove_dir_all(folder)?;
    Ok(numbered(all))
}

fn packed() -> Seeds {
    let samples = [0, 1, 6, 300].map(|count| (0..count).map(sample).collect::<Vec<_>>());
    let mut all: Vec<Vec<u8>> = samples.iter().map(|samples| telemetry::packed::encode(samples)).collect();
    let want = telemetry::Want { tags: telemetry::Tags::All, interval_millis: 1, window: telemetry::Window::Extremes };
    let mut channels = telemetry::Channels::default();
    channels.subscribe(PeerNumber(1), vec![want]);
    channels.publish(&samples[3], Timestamp(0));
    let told = channels.tick(Timestamp(1_000_000));
    all.extend(told.iter().flat_map(|(_, told)| told.frames().to_vec()));
    numbered(all)
}

fn blob_streams() -> Seeds {
    let stream = |blob: &[u8], cut: u8| [&[cut][..], &(blob.len() as u64).to_le_bytes(), blob].concat();
    numbered([stream(&[], 0), stream(b"a model", 3), stream(&[7; 3000], 255)])
}

fn join_pieces() -> Seeds {
    let mut table = JoinTable::default();
    for number in 0..9u32 {
        let at = Placement { place: [f64::from(number) * 3.0, 1.0, -2.0], ..Placement::ORIGIN };
        let (body, thing, holder) = (BodyNumber(number), ThingId([number as u8; 16]), PeerNumber(u16::MAX));
        let sample = gemba_net::relay::Sample::of_body(&at, Epoch(number / 4), 1_000);
        table.put(StillBody { body, thing, holder, sample });
    }
    let Pieces { near: pieces, .. } = table.pieces([0; 3], 1_000);
    let short = pieces.iter().filter(|piece| piece.len() < 256);
    numbered([short.flat_map(|piece| [&[piece.len() as u8][..], piece].concat()).collect()])
}

fn batches() -> Seeds {
    numbered([0, 1, 6, 40].map(|count| telemetry::encode(&(0..count).map(sample).collect::<Vec<_>>())))
}

fn sample(n: usize) -> TagSample {
    let values = [
        None,
        Some(Value::Bool(true)),
        Some(Value::Int(-300)),
        Some(Value::Float(21.5)),
        Some(Value::Float(0.1)),
        Some(Value::Text("Rezept 7 · α".to_owned())),
    ];
    TagSample {
        tag: TagId(n as u32 * 37),
        sample: Sample {
            value: values[n % values.len()].clone(),
            quality: [Quality::Good, Quality::Uncertain, Quality::Bad][n % 3],
            source_time: Timestamp(1_790_000_000_000_000 + n as i64 * 20_000),
            server_time: Timestamp(1_790_000_000_004_000 + n as i64 * 20_000),
        },
    }
}

fn messages() -> Seeds {
    let thing = "Hall1/Line1/Robot1".parse::<ThingPath>().expect("it is a path").id();
    let key = PeerKey([9; 32]);
    let name = "Aiko".to_owned();
    let hello = Hello {
        oldest_minor: 0,
        newest_minor: 0,
        name: name.clone(),
        kind: PeerKind::Person,
        entries_held: 300,
        redemption: None,
        here: None,
    };
    let at = TrackedPoint { place: [1.0, 0.5, -2.0], rotation: [0.0, 0.0, 0.0, 1.0] };
    let lease = Lease { holder: PeerNumber(3), epoch: Epoch(5) };
    let info = PeerInfo { number: PeerNumber(3), key, name, kind: PeerKind::Device };
    let up = [
        ToHost::Hello(hello),
        ToHost::Submit { submission: 7, entry: vec![0xa3; 40].into() },
        ToHost::Select(Some(thing)),
        ToHost::Select(None),
        ToHost::Ping { sent: -1 },
        ToHost::Grab { hold: 3, thing, from: at },
        ToHost::Release { hold: 3, at },
    ];
    let down = [
        ToPeer::Welcome { me: PeerNumber(1), site: "Plant 1".into(), entries: 1_000_000, minor: 0 },
        ToPeer::Refused { why: "not admitted".into() },
        ToPeer::Entries { first: 9, entries: vec![vec![1; 30].into(), vec![2; 3].into()] },
        ToPeer::Accepted { submission: 1, index: 70_000, overruled: None },
        ToPeer::Rejected { submission: 2, why: "the role is too low".into() },
        ToPeer::Joined(info),
        ToPeer::Left(PeerNumber(65_535)),
        ToPeer::Selected { peer: PeerNumber(2), thing: Some(thing) },
        ToPeer::Pong { sent: 5, host: Timestamp(1_790_000_000_000_000) },
        ToPeer::Body(BodyNews { body: BodyNumber(1), thing, lease, at, when: Timestamp(1_790_000_000_000_000) }),
        ToPeer::Held { hold: 3, body: BodyNumber(1), epoch: lease.epoch },
        ToPeer::GrabRefused { hold: 3, why: "someone else holds it".into() },
        ToPeer::BodyGone(BodyNumber(1)),
    ];
    let frames = up.iter().map(frame).chain(down.iter().map(frame));
    let bent = Fingers::new(0.1, [[[0.1, -0.5, -0.8]; 3]; 5]);
    let bent = fingers::encode(&[Some(bent), Some(bent)]);
    let voices = [VOICE.encode_up(7, &[9; 60]).unwrap_or_default(), vec![4, 5, 0, 2, 1, 2, 7, 8]];
    let voices = voices.into_iter().chain([FINGERS.encode_up(7, &bent).unwrap_or_default(), bent]);
    numbered(frames.map(|frame| frame[4..].to_vec()).chain(datagrams()).chain(voices))
}

/// What is told of a few hands for as many ticks as the seed is long, every packet and its answer behind its length:
/// all of it acknowledged, then none of it.
fn body_packets() -> Seeds {
    let story = |bodies: u32, ticks: u32, acknowledged: bool| {
        let mut sender = BodySender::new(Precision::of_hands());
        let mut receiver = BodyReceiver::new(Precision::of_hands(), 64);
        let mut seed = Vec::new();
        let mut put = |bytes: &[u8]| {
            seed.push(u8::try_from(bytes.len()).expect("so few bodies fit into 255 bytes"));
            seed.extend_from_slice(bytes);
        };
        for tick in 0..ticks {
            for body in 0..bodies {
                let place = [f64::from(tick + body) * 0.03, 1.2, f64::from(body)];
                let at = Placement { place, ..Placement::ORIGIN };
                sender.tell(BodyNumber(body), Body { epoch: Epoch(0), at, resting: tick + 2 > ticks });
            }
            while let Some(packet) = sender.poll_packet(tick) {
                put(&packet);
                receiver.handle_packet(&packet).expect("nothing was lost");
                if let Some(acks) = receiver.acks().filter(|_| acknowledged) {
                    put(&acks.encode());
                    sender.handle_acks(&acks.encode());
                }
            }
        }
        seed
    };
    numbered([story(1, 3, true), story(3, 12, true), story(6, 6, false)])
}

fn datagrams() -> [Vec<u8>; 2] {
    let point = |x: f32| TrackedPoint { place: [x, 1.7, -2.25], rotation: [0.0, 0.6, 0.0, 0.8] };
    let pose = |hands| Pose { head: point(1.0), hands, pointer: Some([3.0, 0.0, -9.5]) };
    let mut down = Vec::new();
    for (peer, hands) in [(1, [None, None]), (2, [Some(point(0.5)), Some(point(0.7))])] {
        PoseDown { peer: PeerNumber(peer), at: Timestamp(1_790_000_000_000_000), pose: pose(hands) }.encode(&mut down);
    }
    [PoseUp { sequence: 77, pose: pose([Some(point(0.0)), None]) }.encode(), down]
}

fn models() -> Seeds {
    let tank =
        r#"{"gemba":{"level":"part","class":"tank","bind":[{"tag":"Hall1/Tank1/Level","to":"scale_y","scale":0.01}]}}"#;
    let plant = format!(
        r#"{{"asset":{{"version":"2.0"}},"scene":0,"scenes":[{{"nodes":[0]}}],"nodes":[{{"name":"Hall1","children":[1,2]}},{{"name":"Hall1/Tank1/Liquid","extras":{tank},"mesh":0}},{{"name":"Hall1","translation":[1,0,2]}}],"meshes":[{{"primitives":[{{"attributes":{{"POSITION":0}}}}]}}],"accessors":[{{"bufferView":0,"componentType":5126,"count":3,"type":"VEC3","min":[0,0,0],"max":[1,1,1]}}],"bufferViews":[{{"buffer":0,"byteLength":36}}],"buffers":[{{"byteLength":36}}]}}"#
    );
    let loops = r#"{"asset":{"version":"2.0"},"scenes":[{"nodes":[0]}],"nodes":[{"children":[1]},{"children":[0]}]}"#;
    let required = r#"{"asset":{"version":"2.0"},"extensionsUsed":["KHR_texture_transform"],"extensionsRequired":["KHR_texture_transform"]}"#;
    vec![
        ("plant.glb".into(), glb(&plant, &[0; 36])),
        ("cut.glb".into(), glb(&plant, &[0; 20])),
        ("loop.gltf".into(), loops.into()),
        ("required.gltf".into(), required.into()),
    ]
}

/// A binary glTF (glTF 2.0 §4.4): a header, a chunk of JSON and one of binary data, each padded to four bytes.
fn glb(json: &str, binary: &[u8]) -> Vec<u8> {
    let mut json = json.as_bytes().to_vec();
    json.resize(json.len().next_multiple_of(4), b' ');
    let word = |number: usize| u32::try_from(number).expect("the seeds are small").to_le_bytes();
    let total = word(12 + 8 + json.len() + 8 + binary.len());
    let parts: [&[u8]; 9] =
        [b"glTF", &word(2), &total, &word(json.len()), b"JSON", &json, &word(binary.len()), b"BIN\0", binary];
    parts.concat()
}
