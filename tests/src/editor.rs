//! A person who changes the plant without a screen: signs entries as a viewer would and hears what became of them.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use gemba_net::{
    Link, LinkCommand, LinkConfig, LinkEvent, LinkState, PeerNumber, Pose, TrackedPoint, address_of, connect,
};
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::edit::{Change, Edit};
use gemba_record::entry::EntryId;
use gemba_record::log::Log;
use gemba_record::site::Site;
use gemba_twin::path::{ThingId, ThingPath};
use gemba_twin::peer::PeerKind;
use gemba_twin::sample::Timestamp;

use crate::plant_site::eventually;

/// A peer that edits.
pub struct Editor {
    link: Link,
    log: Log,
    key: SigningKey,
    said: u64,
    answers: BTreeMap<u64, Result<u64, String>>,
    seen: BTreeMap<PeerNumber, f32>,
}

impl Editor {
    /// Joins and waits until everything the host held is here.
    pub fn join(address: &str, name: &str, seed: u8) -> Self {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let link = connect(LinkConfig {
            address: address.parse().expect("the host's own address"),
            signing_key: key.clone(),
            name: name.to_owned(),
            kind: PeerKind::Person,
            entries_held: 0,
        });
        let (answers, seen) = (BTreeMap::new(), BTreeMap::new());
        let mut editor = Self { link, log: Log::default(), key, said: 0, answers, seen };
        let mut expected = None;
        eventually("the whole record arrives", || {
            match editor.link.wait(Duration::from_millis(50)) {
                Some(LinkEvent::Welcome { entries, .. }) => expected = Some(entries),
                Some(event) => editor.take(event),
                None => {}
            }
            expected.filter(|expected| editor.log.entries() >= *expected)
        });
        editor
    }

    fn take(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Entries { entries, .. } => {
                for entry in entries {
                    self.log.append(entry).expect("a host's own record");
                }
                self.tell_hosts();
            }
            LinkEvent::Answer { submission, outcome, .. } => drop(self.answers.insert(submission, outcome)),
            LinkEvent::Pose { peer, pose, .. } => drop(self.seen.insert(peer, pose.head.place[0])),
            LinkEvent::State(LinkState::Lost { .. }) => self.seen.clear(),
            LinkEvent::State(LinkState::Refused { why }) => panic!("refused: {why}"),
            _ => {}
        }
    }

    /// Where the host may be, as a viewer tells its link.
    fn tell_hosts(&mut self) {
        let (Some(given), Some(site)) = (self.link.host(), self.log.site()) else { return };
        let mut hosts: Vec<_> = site.hosts().iter().collect();
        hosts.sort_by_key(|host| host.key != site.host());
        let hosts = hosts.iter().filter_map(|host| address_of(&host.place, &given.site, host.key)).collect();
        self.link.send(LinkCommand::Hosts(hosts)).expect("an idle link");
    }

    /// Takes in all that has come, without waiting.
    pub fn listen(&mut self) {
        while let Some(event) = self.link.poll() {
            self.take(event);
        }
    }

    /// Stands so far along the X axis.
    pub fn stand_at(&mut self, x: f32) {
        let head = TrackedPoint { place: [x, 1.7, 0.0], rotation: [0.0, 0.0, 0.0, 1.0] };
        // A link that is busy shows the next.
        let _ = self.link.send(LinkCommand::Pose(Pose { head, hands: [None, None], pointer: None }));
    }

    /// Where the others stand, since the newest session began.
    pub fn others(&self) -> Vec<f32> {
        self.seen.values().copied().collect()
    }

    /// The host's answer to what was submitted under this number, if it has come.
    pub fn answer(&self, submission: u64) -> Option<&Result<u64, String>> {
        self.answers.get(&submission)
    }

    /// Takes in what others have said meanwhile.
    pub fn hear(&mut self) {
        if let Some(event) = self.link.wait(Duration::from_millis(50)) {
            self.take(event);
        }
    }

    /// Shows the others how this person stands, and takes in all that they have said meanwhile. Never waits.
    pub fn stand(&mut self, pose: Pose) {
        while let Some(event) = self.link.poll() {
            self.take(event);
        }
        // A full queue holds a pose of a moment ago.
        let _ = self.link.send(LinkCommand::Pose(pose));
    }

    /// Waits until this person shows the plant: a viewer tells its selection once it does.
    pub fn await_person(&mut self, name: &str) {
        let mut number = None;
        eventually("a viewer shows the plant", || {
            match self.link.wait(Duration::from_millis(50)) {
                Some(LinkEvent::Joined(info)) if info.name == name => number = Some(info.number),
                Some(LinkEvent::Selected { peer, .. }) if Some(peer) == number => return Some(()),
                Some(LinkEvent::Pose { peer, .. }) if Some(peer) == number => return Some(()),
                Some(event) => self.take(event),
                None => {}
            }
            None
        });
    }

    /// Has the link do something else.
    pub fn send(&mut self, command: LinkCommand) {
        self.link.send(command).expect("an idle link");
    }

    /// Waits for an event in which `found` finds something.
    pub fn until<T>(&mut self, what: &str, mut found: impl FnMut(&LinkEvent) -> Option<T>) -> T {
        eventually(what, || {
            let event = self.link.wait(Duration::from_millis(50))?;
            let found = found(&event);
            self.take(event);
            found
        })
    }

    /// The site as it is known here.
    pub fn site(&self) -> &Site {
        self.log.site().expect("the record has arrived")
    }

    /// The identity of the thing that is at this path now.
    pub fn thing(&self, path: &str) -> ThingId {
        let path: ThingPath = path.parse().expect("a path");
        self.site().thing_at(&path).unwrap_or_else(|| panic!("there is no {path}")).id
    }

    /// Says this; where it stands, or why it was refused. When this returns what was taken is here too.
    pub fn say(&mut self, body: Body) -> Result<u64, String> {
        self.say_at(body, now())
    }

    /// As [`Editor::say`], under another time.
    pub fn say_at(&mut self, body: Body, at: Timestamp) -> Result<u64, String> {
        let submission = self.submit_at(body, at);
        eventually("an entry is answered", || {
            self.hear();
            let answer = self.answers.get(&submission).cloned()?;
            match &answer {
                Ok(index) if *index >= self.log.entries() => None,
                _ => Some(answer),
            }
        })
    }

    /// Says this and does not wait for the answer; the number to know it by.
    pub fn submit(&mut self, body: Body) -> u64 {
        self.submit_at(body, now())
    }

    fn submit_at(&mut self, body: Body, at: Timestamp) -> u64 {
        self.said += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.said.to_le_bytes());
        id[8..].copy_from_slice(&self.key.to_bytes()[..8]);
        let author = Author::new(self.key.clone(), self.site().id()).at(at);
        let entry = author.sign(body, EntryId(id)).bytes().to_vec();
        self.link.send(LinkCommand::Submit { submission: self.said, entry }).expect("an idle link");
        self.said
    }

    /// Changes the thing at this path, on the ground of what is known here now.
    pub fn edit(&mut self, path: &str, change: Change) -> Result<u64, String> {
        let edit = Edit { thing: self.thing(path), based_on: self.log.entries(), change, undoes: None };
        self.say(Body::EditThing(edit))
    }
}

/// This machine's clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("no machine is older than Unix");
    Timestamp(i64::try_from(since.as_micros()).expect("not for 290,000 years"))
}
