//! The record of a busy plant, as long as is wanted: eight people who leave notes and change things, three edits for every
//! two notes. The same for the same site and number, so that runs can be compared. All knowledge of what entries say is here.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use ed25519_dalek::SigningKey;
use gemba_host::site_dir::SiteDir;
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::edit::{Change, Edit};
use gemba_record::entry::{EntryId, SiteId};
use gemba_record::role::Role;
use gemba_twin::binding::{Binding, Target};
use gemba_twin::path::ThingPath;
use gemba_twin::peer::PeerKind;
use gemba_twin::thing::{Class, Level, Thing};

/// People who write, in turn.
pub const AUTHORS: u8 = 8;
/// Things that exist from the beginning and are edited again and again.
const EDITED_THINGS: u64 = 1_000;
const MODEL: [u8; 32] = [0xab; 32];
/// Entries of one commit where only the result matters: what the host itself takes at most.
const BATCH: u64 = 512;

/// Signs the entries of one site.
pub struct PlantLog {
    authors: Vec<Author>,
}

impl PlantLog {
    /// For this site.
    pub fn new(site: SiteId) -> Self {
        let author = |seed| Author::new(SigningKey::from_bytes(&[seed + 100; 32]), site);
        Self { authors: (0..AUTHORS).map(author).collect() }
    }

    /// Founds a site in `dir` and says all that entries refer to.
    pub fn found(dir: &Path) -> anyhow::Result<(SiteDir, Self)> {
        let mut site = SiteDir::create(dir, "Bench plant")?;
        let log = Self::new(site.site().id());
        site.submit_all(log.opening())?;
        Ok((site, log))
    }

    /// What the owner says after founding: who may write, and the things that are edited.
    pub fn opening(&self) -> Vec<Body> {
        let mut bodies = self.admissions();
        bodies.push(import_model());
        bodies.extend(Body::add_things(MODEL, (0..EDITED_THINGS).map(thing).collect()));
        bodies
    }

    /// Who may write.
    pub fn admissions(&self) -> Vec<Body> {
        let admit = |(n, author): (usize, &Author)| {
            let (kind, name) = (PeerKind::Person, format!("Person {n}"));
            Body::Admit { peer: author.key(), kind, name, role: Role::Editor }
        };
        self.authors.iter().enumerate().map(admit).collect()
    }

    /// The key of the first author, who signs every entry whose number is a multiple of [`AUTHORS`].
    pub fn first_author(&self) -> &SigningKey {
        &self.authors[0].signing_key
    }

    /// The signed bytes of entry `n` after the opening.
    pub fn entry(&self, n: u64) -> Vec<u8> {
        let author = &self.authors[(n % u64::from(AUTHORS)) as usize];
        let target = thing(n * 7 % EDITED_THINGS);
        let body = if n % 5 < 2 {
            let text = format!("Bearing {} runs hot again, looked at it in shift {}.", n % 97, n / 400);
            Body::note(target.path.id(), text)
        } else {
            let mut bindings = target.bindings;
            bindings[0].offset = n as f64 * 0.001;
            let edit = Edit {
                thing: target.path.id(),
                based_on: n / u64::from(AUTHORS),
                change: Change::Bind(bindings),
                undoes: None,
            };
            Body::EditThing(edit)
        };
        author.sign(body, id(n)).into_parts().0
    }

    /// As [`PlantLog::entry`], for all of `range`.
    pub fn entries(&self, range: std::ops::Range<u64>) -> Vec<Vec<u8>> {
        range.map(|n| self.entry(n)).collect()
    }
}

/// Brings the model in that all things are of.
pub fn import_model() -> Body {
    Body::ImportModel { blob: MODEL, bytes: 1 << 20, name: "plant.glb".into() }
}

/// What adds a thousand things, `thousand` thousand after the first.
pub fn thousand_things(thousand: u64) -> Vec<Body> {
    Body::add_things(MODEL, (thousand * 1_000..(thousand + 1) * 1_000).map(thing).collect())
}

/// An id that is another for every number.
pub fn id(n: u64) -> EntryId {
    let mut id = [0x5a; 16];
    id[8..].copy_from_slice(&n.to_be_bytes());
    EntryId(id)
}

fn thing(n: u64) -> Thing {
    let path = format!("Hall{}/Line{}/Robot{}/Joint{}", n / 10_000 + 1, n / 100 % 100 + 1, n / 10 % 10 + 1, n % 10 + 1);
    let path: ThingPath = path.parse().expect("letters and digits are a plant path");
    let tag = path.tag("Angle").expect("a short name is a tag's name");
    let binding = Binding { tag, target: Target::RotateY, scale: 0.017_453, offset: 0.0 };
    Thing { path, level: Level::Unit, class: Class::Robot, bindings: vec![binding] }
}

/// A site directory of at least `entries` entries, made once and kept in `work`. Closed when this returns.
pub fn long_site(work: &Path, entries: u64) -> anyhow::Result<PathBuf> {
    let dir = work.join(format!("site-of-{entries}"));
    let whole = dir.join("made");
    if whole.exists() {
        return Ok(dir);
    }
    make(&dir, entries)?;
    // Written when all is there: a site that was interrupted is made anew.
    fs::write(&whole, "")?;
    Ok(dir)
}

/// Founds the site and appends until it is long enough.
fn make(dir: &Path, entries: u64) -> anyhow::Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot clear {}", dir.display()))?;
    }
    let (mut site, log) = PlantLog::found(dir)?;
    let mut next = 0;
    while site.log().entries() < entries {
        let end = (next + BATCH).min(next + entries - site.log().entries());
        accepted(site.append(log.entries(next..end))?)?;
        next = end;
        if next % (BATCH * 100) == 0 {
            eprintln!("gemba bench: making a record of {entries} entries, once: {next}");
        }
    }
    Ok(())
}

/// Fails if any entry was refused: what was measured would be something else.
pub fn accepted(appended: gemba_host::site_dir::Appended) -> anyhow::Result<()> {
    appended.outcomes.into_iter().collect::<Result<Vec<_>, _>>().context("an entry of the benchmark was refused")?;
    Ok(())
}
