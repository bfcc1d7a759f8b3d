//! A person who changes the plant without a screen: signs entries as a viewer would and hears what became of them.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use gemba_net::{
    Address, Link, LinkCommand, LinkConfig, LinkEvent, LinkState, PeerNumber, Pose, TrackedPoint, address_of, connect,
};
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::edit::{Change, Edit};
use gemba_record::entry::EntryId;
use gemba_record::log::Log;
use gemba_record::site::Site;
use gemba_twin::path::{ThingId, ThingPath};
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::sample::Timestamp;

use crate::plant_site::eventually;

/// A peer that edits.
pub struct Editor {
    link: Link,
    log: Log,
    key: SigningKey,
    said: u64,
    answers: BTreeMap<u64, Result<u64, String>>,
    /// Entries that the host had when it welcomed us.
    expected: u64,
    is_connected: bool,
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
        let mut editor =
            Self { link, log: Log::default(), key, said: 0, answers, expected: 0, is_connected: false, seen };
        let mut is_welcome = false;
        eventually("the whole record arrives", || {
            if let Some(event) = editor.link.wait(Duration::from_millis(50)) {
                is_welcome |= matches!(event, LinkEvent::Welcome { .. });
                editor.take(event);
            }
            (is_welcome && editor.log.entries() >= editor.expected).then_some(())
        });
        editor
    }

    fn take(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Welcome { entries, .. } => (self.expected, self.is_connected) = (entries, true),
            LinkEvent::Entries { entries, .. } => {
                for entry in entries {
                    self.log.append(entry).expect("a host's own record");
                }
                self.tell_hosts();
            }
            LinkEvent::Answer { submission, outcome, .. } => drop(self.answers.insert(submission, outcome)),
            LinkEvent::Pose { peer, pose, .. } => drop(self.seen.insert(peer, pose.head.place[0])),
            LinkEvent::State(LinkState::Lost { .. }) => {
                self.seen.clear();
                self.is_connected = false;
            }
            LinkEvent::State(LinkState::Refused { why }) => panic!("refused: {why}"),
            _ => {}
        }
    }

    /// Where the host may be, as a viewer tells its link.
    fn tell_hosts(&mut self) {
        let (Some(given), Some(site)) = (self.link.host(), self.log.site()) else { return };
        if self.log.entries() < self.expected {
            return;
        }
        let named = site.reachable_hosts().into_iter();
        let mut hosts: Vec<_> = named.filter_map(|(key, host)| address_of(&host.place, &given.site, key)).collect();
        if hosts.is_empty() {
            hosts.extend(site.host_key().map(|key| Address { key, ..given }));
        }
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

    /// Whether this person is with a host that has shown this key, and is taken by it.
    pub fn is_at(&self, key: &PeerKey) -> bool {
        self.is_connected && self.link.host().is_some_and(|host| host.key == *key)
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
