//! Things that people carry: who may carry what, and where it lies once it was let go. The record does not tell of that
//! (whoever wants a thing to be elsewhere for good edits it), but a box must be where it was left also after the host has
//! been started anew: so the places are kept in the file `rests` of the site's directory, a few seconds late.
//!
//! The file is only the newest word on where things lie. One that cannot be read is passed over, and things are where the
//! record says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gemba_net::{HostCommand, TrackedPoint};
use gemba_record::body::Body;
use gemba_record::edit::{Change, Edit};
use gemba_record::site::Site;
use gemba_twin::path::ThingId;
use gemba_twin::peer::PeerKey;
use tokio::time::Instant;

use crate::key_file;
use crate::limits;

/// Name of the file.
const RESTS: &str = "rests";

/// Whether whoever came with `key` may carry this thing: as who may move it for good, and only what is meant to be carried.
pub fn may_carry(site: &Site, key: Option<PeerKey>, thing: ThingId) -> Result<(), String> {
    let identity = key.and_then(|key| site.holder_of(&key)).ok_or("you are not in this site")?;
    let held = site.thing(thing).filter(|held| !site.is_retired(held.id)).ok_or("there is no such thing here")?;
    if !held.thing.is_carried_by_hand() {
        return Err(format!(
            "{} cannot be carried: only boxes, pallets and parts that no device moves can",
            held.thing.path
        ));
    }
    let change = Edit { thing, based_on: site.entries(), change: Change::Move(None), undoes: None };
    site.may_say(&identity, &Body::EditThing(change)).map_err(|why| why.to_string())
}

/// Where things lie that were carried.
#[derive(Debug)]
pub struct Rests {
    path: PathBuf,
    places: BTreeMap<ThingId, TrackedPoint>,
    /// When the file is to be written, if it is behind.
    due: Option<Instant>,
}

impl Rests {
    /// As they were kept in this directory; of things that cannot be carried any more nothing.
    pub fn load(dir: &Path, site: &Site) -> Self {
        let path = dir.join(RESTS);
        let mut places = read(&path).unwrap_or_else(|why| {
            tracing::warn!("{}: {why}; what was carried lies where the record says", path.display());
            BTreeMap::new()
        });
        let may_lie = |thing: &ThingId| site.thing(*thing).is_some_and(|held| held.thing.is_carried_by_hand());
        places.retain(|thing, at| at.is_sound() && may_lie(thing) && !site.is_retired(*thing));
        Self { path, places, due: None }
    }

    /// What the network is to know before anybody comes.
    pub fn command(&self) -> HostCommand {
        HostCommand::Rests(self.places.iter().map(|(thing, at)| (*thing, *at)).collect())
    }

    /// A thing lies there now.
    pub fn handle_rested(&mut self, thing: ThingId, at: TrackedPoint) {
        self.places.insert(thing, at);
        self.note();
    }

    /// A command goes out to the network: what the record has put elsewhere lies there.
    pub fn handle_command(&mut self, command: &HostCommand) {
        if let HostCommand::PutBack { thing } = command
            && self.places.remove(thing).is_some()
        {
            self.note();
        }
    }

    /// When the file is to be written.
    pub async fn due(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// Writes the file, if it is behind.
    pub fn keep(&mut self) {
        if self.due.take().is_none() {
            return;
        }
        let places: Vec<(ThingId, TrackedPoint)> = self.places.iter().map(|(thing, at)| (*thing, *at)).collect();
        let bytes = minicbor::to_vec(&places).expect("writing to memory does not fail");
        if let Err(error) = key_file::write_whole(&self.path, &bytes, false) {
            tracing::warn!("{error}; where things lie is written again when the next one is let go");
        }
    }

    fn note(&mut self) {
        self.due.get_or_insert_with(|| Instant::now() + limits::RESTS_KEPT_AFTER);
    }
}

fn read(path: &Path) -> Result<BTreeMap<ThingId, TrackedPoint>, String> {
    let length = match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        other => other.map_err(|error| error.to_string())?.len(),
    };
    if length > limits::RESTS_BYTES {
        return Err(format!("it has {length} bytes, more than {}", limits::RESTS_BYTES));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let places: Vec<(ThingId, TrackedPoint)> = minicbor::decode(&bytes).map_err(|error| error.to_string())?;
    Ok(places.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;
    use gemba_record::author::Author;
    use gemba_record::entry::EntryId;
    use gemba_record::log::Log;
    use gemba_record::role::Role;
    use gemba_twin::peer::PeerKind;
    use gemba_twin::thing::{Class, Level, Thing};

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn site() -> Log {
        let thing =
            |path: &str, class| Thing { path: path.parse().unwrap(), level: Level::Part, class, bindings: Vec::new() };
        let things = vec![thing("Rack1/Box1", Class::Workpiece), thing("Robot1", Class::Robot)];
        let admit = |seed, role| {
            let (peer, kind) = (key_file::peer_key(&key(seed)), PeerKind::Person);
            Body::Admit { peer, kind, name: "p".to_owned(), role }
        };
        let import = Body::ImportModel { blob: [1; 32], bytes: 4, name: "plant.glb".to_owned() };
        let found = Body::Found { name: "Plant".to_owned(), host: key_file::peer_key(&key(1)) };
        let mut bodies = vec![found, admit(2, Role::Editor), admit(3, Role::Commenter), import];
        bodies.extend(Body::add_things([1; 32], things));
        let mut log = Log::new();
        let author = Author::new(key(1), gemba_record::entry::SiteId([5; 16]));
        for (n, body) in (1u8..).zip(bodies) {
            log.append(author.sign(body, EntryId([n; 16])).into_parts().0).unwrap();
        }
        log
    }

    #[test]
    fn who_may_move_a_box_for_good_may_carry_it_and_nobody_carries_a_robot() {
        let log = site();
        let site = log.site().unwrap();
        let [crate_, robot] = ["Rack1/Box1", "Robot1"].map(|path| site.thing_at(&path.parse().unwrap()).unwrap().id);
        let key = |seed| Some(key_file::peer_key(&key(seed)));
        assert_eq!(may_carry(site, key(2), crate_), Ok(()));
        assert!(may_carry(site, key(3), crate_).is_err(), "a commenter changes nothing");
        assert!(may_carry(site, key(9), crate_).is_err());
        assert!(may_carry(site, key(2), robot).unwrap_err().contains("Robot1"));
        assert!(may_carry(site, key(2), ThingId([9; 16])).is_err());
    }

    #[test]
    fn what_was_carried_is_found_again_and_a_damaged_file_harms_nobody() {
        let (log, folder) = (site(), tempfile::tempdir().unwrap());
        let site = log.site().unwrap();
        let thing = |path: &str| site.thing_at(&path.parse().unwrap()).unwrap().id;
        let at = TrackedPoint { place: [1.0, 2.0, 3.0], rotation: [0.0, 0.0, 0.0, 1.0] };
        let mut rests = Rests::load(folder.path(), site);
        rests.handle_rested(thing("Rack1/Box1"), at);
        rests.handle_rested(thing("Robot1"), at);
        rests.keep();
        let places = |rests: &Rests| rests.places.keys().copied().collect::<Vec<_>>();
        let mut again = Rests::load(folder.path(), site);
        assert_eq!(places(&again), [thing("Rack1/Box1")]);
        again.handle_command(&HostCommand::PutBack { thing: thing("Rack1/Box1") });
        again.keep();
        assert_eq!(places(&Rests::load(folder.path(), site)), []);
        std::fs::write(folder.path().join(RESTS), [0x9f, 1, 2]).unwrap();
        assert_eq!(places(&Rests::load(folder.path(), site)), []);
    }
}
