//! What the simulated plant's gateway sees, as long as is wanted: every change of every tag, with the times of device and
//! gateway. The same for the same number of lines, so that runs can be compared. And a site with a shift of that.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::ensure;
use ed25519_dalek::SigningKey;
use gemba_devices::simulator::{Reading, STEP_SECS, Simulator};
use gemba_host::blobs::Blobs;
use gemba_host::disk::{Disk, FileDisk};
use gemba_host::historian::{Historian, HistorianConfig};
use gemba_host::site_dir::{Founding, SiteDir};
use gemba_net::{BlobHash, TagSample};
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::entry::{EntryId, SiteId};
use gemba_record::role::Role;
use gemba_twin::model::outline;
use gemba_twin::path::TagId;
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::sample::{Sample, Timestamp};
use gemba_twin::tag::Tag;
use serde::{Deserialize, Serialize};

use super::plant_log::PlantLog;

/// A Saturday morning, seconds since the Unix epoch. In the past of whoever runs this: what comes after the clock of a host
/// that starts is, to it, the sign of a clock that was set back, and sought everywhere.
const BEGAN: i64 = 1_784_966_400;
/// When the site was founded: an hour before.
const BEFORE: Timestamp = Timestamp((BEGAN - 3_600) * 1_000_000);
/// Steps between two readings: 20 a second, as the simulated OPC UA server writes them.
const STEPS: u64 = 2;
/// Tags of the shift that the goals are about, and lines that have as many.
const TAGS: usize = 1_000;
const LINES: usize = 7;

/// The plant as its gateway sees it.
pub struct Plant {
    simulator: Simulator,
    shown: Vec<Reading>,
    chance: u64,
}

impl Plant {
    /// One that has not moved yet.
    pub fn new(lines: usize) -> Self {
        Self { simulator: Simulator::new(lines, 7), shown: Vec::new(), chance: 1 }
    }

    /// Its tags, by number.
    pub fn tags(&self) -> &[Tag] {
        self.simulator.tags()
    }

    /// A number below `below`, evenly spread (xorshift64).
    pub fn random(&mut self, below: u64) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance % below
    }

    /// The plant's clock.
    pub fn now(&self) -> Timestamp {
        let steps = (self.simulator.secs() / STEP_SECS).round() as i64;
        Timestamp::from_secs(BEGAN).plus_micros(steps * (STEP_SECS * 1e6) as i64)
    }

    /// Moves on, and tells what the first `tags` tags changed to. They were received some 1 to 11 ms later: a publishing
    /// server looks every 10 ms, and all of a notification is received at once.
    pub fn changes(&mut self, tags: usize) -> Vec<TagSample> {
        self.simulator.steps(STEPS);
        let source_time = self.now();
        let server_time = source_time.plus_micros(1_000 + self.random(10_000) as i64);
        let readings = self.simulator.readings();
        let is_first = self.shown.is_empty();
        if is_first {
            self.shown = readings.to_vec();
        }
        let mut changed = Vec::new();
        for (i, (reading, shown)) in readings.iter().zip(&mut self.shown).enumerate().take(tags) {
            if is_first || shown != reading {
                shown.clone_from(reading);
                let (value, quality) = (Some(reading.value.clone()), reading.quality);
                let sample = Sample { value, quality, source_time, server_time };
                changed.push(TagSample { tag: TagId(i as u32), sample });
            }
        }
        changed
    }

    /// A historian in this folder that knows the plant's tags.
    pub fn historian(&self, history: &Path, blobs: Blobs, device: PeerKey) -> anyhow::Result<Historian> {
        let mut historian = Historian::open(history, blobs, HistorianConfig::default(), Timestamp::from_secs(BEGAN))?;
        for (i, tag) in self.tags().iter().enumerate() {
            historian.declare(TagId(i as u32), &tag.path, device);
        }
        Ok(historian)
    }
}

/// A shift that lies on the disk, in a site whose record knows its tags.
#[derive(Serialize, Deserialize)]
pub struct Shift {
    /// When it began and ended, microseconds since the Unix epoch.
    pub span: (i64, i64),
    /// All samples that were taken.
    pub samples: u64,
    /// Of each segment its bytes and samples, oldest first.
    pub segments: Vec<(u64, u64)>,
    /// Bytes of all segments, with what an instant is found by.
    pub bytes: u64,
}

/// The number of tags of a shift.
pub fn tags() -> usize {
    TAGS
}

/// The folder of a site with a shift of so many hours. Kept in `work`, since writing it takes minutes, and made anew by
/// every other build of this program: what is measured is what is built.
pub fn site_with_shift(work: &Path, hours: f64) -> anyhow::Result<(PathBuf, Shift)> {
    let program = fs::read(std::env::current_exe()?)?;
    let build: String = BlobHash::of(&program).to_string().chars().take(16).collect();
    let dir = work.join(format!("shift-{hours}h-{build}"));
    let told = dir.join("shift.json");
    if let Ok(told) = fs::read(&told) {
        return Ok((dir.join("site"), serde_json::from_slice(&told)?));
    }
    forget_others(work)?;
    let (mut site, owner) = found(&dir.join("site"))?;
    draw(&mut site, &owner)?;
    let gateway = Author::new(site.gateway_key()?, site.site().id()).at(BEFORE);
    let (kind, name) = (PeerKind::Device, "gateway".to_owned());
    say(&mut site, &owner, vec![Body::Admit { peer: gateway.key(), kind, name, role: Role::Editor }])?;
    let mut plant = Plant::new(LINES);
    declare(&mut site, &gateway, &plant.tags()[..TAGS])?;
    let historian = plant.historian(&site.dir().join("history"), site.blobs(), gateway.key())?;
    let shift = write(&mut plant, historian, hours)?;
    // Last of all: without it the folder is not used again.
    fs::write(told, serde_json::to_vec(&shift)?)?;
    Ok((dir.join("site"), shift))
}

/// Shifts that other builds wrote, or that were not finished.
fn forget_others(work: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(work)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("shift-") {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// A site that was founded before the shift: who looks at an instant sees the plant as the record has it then.
fn found(dir: &Path) -> anyhow::Result<(SiteDir, Author)> {
    let disk = FileDisk::new(dir);
    disk.make_folder("")?;
    let (id, host) = (SiteId([0x5b; 16]), SigningKey::from_bytes(&[99; 32]));
    let founding = Founding { name: "Bench plant", site: id, host: host.clone(), owner: None, entry: EntryId([0; 16]) };
    let mut site = SiteDir::create_on(Arc::new(disk), founding)?;
    let owner = Author::new(host, id).at(BEFORE);
    say(&mut site, &owner, PlantLog::new(id).admissions())?;
    Ok((site, owner))
}

fn say(site: &mut SiteDir, author: &Author, bodies: Vec<Body>) -> anyhow::Result<()> {
    let mut id = u128::from(site.log().entries()) << 64;
    let entries = bodies.into_iter().map(|body| {
        id += 1;
        author.sign(body, EntryId(id.to_le_bytes())).into_parts().0
    });
    site.append(entries.collect())?.outcomes.into_iter().try_for_each(|outcome| outcome.map(drop))?;
    Ok(())
}

fn declare(site: &mut SiteDir, gateway: &Author, tags: &[Tag]) -> anyhow::Result<()> {
    say(site, gateway, Body::declare_tags(tags.to_vec()))?;
    for (i, tag) in tags.iter().enumerate() {
        ensure!(site.site().tag_at(&tag.path) == Some(TagId(i as u32)), "the record numbers tags in another order");
    }
    Ok(())
}

/// The plant whose machines have the tags, for a viewer to show.
fn draw(site: &mut SiteDir, owner: &Author) -> anyhow::Result<()> {
    let (model, _) = gemba_tools::plant::generate(LINES, 1);
    let things = outline(&model)?.things.into_iter().map(|node| node.thing).collect();
    let blob = site.put_blob(&model)?;
    let mut bodies = vec![Body::ImportModel { blob, bytes: model.len() as u64, name: "plant.glb".to_owned() }];
    bodies.extend(Body::add_things(blob, things));
    say(site, owner, bodies)
}

/// Sealed every five minutes as a host does, as fast as it goes.
fn write(plant: &mut Plant, mut historian: Historian, hours: f64) -> anyhow::Result<Shift> {
    let mut segments = Vec::new();
    let mut said = 0.0;
    while plant.simulator.secs() < hours * 3600.0 {
        let changed = plant.changes(TAGS);
        historian.append(&changed, plant.now())?;
        for sealed in historian.poll_seal(plant.now())? {
            historian.confirm(&sealed)?;
            segments.push((sealed.bytes, sealed.samples));
        }
        if plant.simulator.secs() >= said + 3600.0 {
            said += 3600.0;
            eprintln!("gemba bench: hour {} of a shift of {hours}, kept for the next time", said / 3600.0);
        }
    }
    for sealed in historian.seal(plant.now())? {
        historian.confirm(&sealed)?;
        segments.push((sealed.bytes, sealed.samples));
    }
    let span = (Timestamp::from_secs(BEGAN).0, plant.now().0);
    Ok(Shift { span, samples: historian.stats().taken, segments, bytes: historian.sealed_bytes() })
}
