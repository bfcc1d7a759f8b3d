//! Speaks to a site's record in somebody's name: through the site's host if that runs, else into its directory.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use ed25519_dalek::SigningKey;
use gemba_host::clock;
use gemba_host::disk::FileDisk;
use gemba_host::key_file::{self, peer_key};
use gemba_host::problem::SiteDirError;
use gemba_host::site_dir::{ADDRESS, HOST_KEY, SiteDir};
use gemba_net::{Address, Link, LinkCommand, LinkConfig, LinkEvent, LinkState, connect};
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::entry::{EntryId, KeyNumber, Seen};
use gemba_record::log::Log;
use gemba_record::site::{Placed, Site};
use gemba_twin::path::ThingPath;
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::sample::Timestamp;

use crate::progress::Progress;

/// How long a host may be silent.
const PATIENCE: Duration = Duration::from_secs(20);

/// Fewest digits of a key that name a peer.
const DIGITS: usize = 4;

/// Which site, and who speaks.
#[derive(Debug, Args)]
pub(crate) struct VoiceArgs {
    /// The site's directory, or its gemba:// address for who is elsewhere.
    #[arg(long, value_name = "DIR|ADDRESS")]
    pub(crate) site: String,
    /// A file with the key to speak by; if not given, in a directory its host's, else this person's own.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
}

/// A key at a site's record.
pub(crate) struct Voice {
    way: Way,
    key: SigningKey,
}

enum Way {
    Directory(Box<SiteDir>),
    Host(Box<Session>),
}

/// A session with a host, and its record as folded here.
struct Session {
    link: Link,
    log: Log,
    address: Address,
    /// The host's clock minus ours, microseconds.
    offset_micros: i64,
}

impl Voice {
    /// Opens the site's directory or, where a host runs or an address is given, comes in with the key.
    pub(crate) fn open(args: &VoiceArgs) -> Result<Self> {
        let VoiceArgs { site, key } = args;
        if site.starts_with("gemba://") {
            let address: Address = site.parse().with_context(|| format!("{site} is no address"))?;
            let key = load(&key.clone().map_or_else(own_key_file, Ok)?)?;
            return Ok(Self { way: Way::Host(Box::new(Session::begin(address, &key, PeerKind::Person)?)), key });
        }
        let dir = Path::new(site);
        let own = |key: &Option<PathBuf>| match key {
            Some(file) => load(file),
            None => Ok(key_file::load(&FileDisk::new(dir), HOST_KEY)?),
        };
        match SiteDir::open(dir) {
            Ok(site) => Ok(Self { way: Way::Directory(Box::new(site)), key: own(key)? }),
            Err(SiteDirError::InUse(_)) => {
                let kind = if key.is_some() { PeerKind::Person } else { PeerKind::Host };
                let key = own(key)?;
                Ok(Self { way: Way::Host(Box::new(Session::begin(address_in(dir)?, &key, kind)?)), key })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The site as its record says it is.
    pub(crate) fn site(&self) -> &Site {
        match &self.way {
            Way::Directory(site) => site.site(),
            Way::Host(session) => session.log.site().expect("a session begins with the whole record"),
        }
    }

    /// Where the site's host is, or was last, by its key in force.
    pub(crate) fn address(&self) -> Result<Address> {
        let address = match &self.way {
            Way::Directory(site) => address_in(site.dir())?,
            Way::Host(session) => session.address.clone(),
        };
        let site = self.site();
        let key = site.host_key().filter(|_| site.is_or_was_host_key(&address.key)).unwrap_or(address.key);
        Ok(Address { key, ..address })
    }

    /// The key that speaks.
    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Whose key it is.
    pub(crate) fn identity(&self) -> Result<PeerKey> {
        let key = peer_key(&self.key);
        let unknown = || format!("{} does not know the key {}", self.site().name(), key.short());
        self.site().holder_of(&key).with_context(unknown)
    }

    /// Says something, and returns where it stands.
    pub(crate) fn say(&mut self, body: Body) -> Result<u64> {
        let identity = self.identity()?;
        let number = self.site().peer(&identity).map(|peer| peer.keys.number()).unwrap_or_default();
        self.say_as(identity, number, self.key.clone(), body)
    }

    /// Says something in the name of another identity or by another of its keys, which has to be right for it.
    pub(crate) fn say_as(
        &mut self,
        identity: PeerKey,
        number: KeyNumber,
        signing_key: SigningKey,
        body: Body,
    ) -> Result<u64> {
        let site = self.site();
        let seen = Some(Seen { size: site.entries(), root: site.tree().root() });
        let clock = Some(self.now());
        let author = Author { identity, number, signing_key, site: site.id(), clock, seen };
        let entry = author.sign(body, EntryId(key_file::random())).into_parts().0;
        match &mut self.way {
            Way::Directory(site) => {
                let outcome = site.append_at(vec![entry], clock)?.outcomes.pop();
                Ok(outcome.context("the entry was lost")?.map(Placed::index)?)
            }
            Way::Host(session) => session.submit(entry),
        }
    }

    /// The host's clock.
    pub(crate) fn now(&self) -> Timestamp {
        match &self.way {
            Way::Directory(_) => clock::now(),
            Way::Host(session) => clock::now().plus_micros(session.offset_micros),
        }
    }
}

impl Session {
    /// Comes in, and folds the whole record. Where that says that the host's key was replaced since the address was given,
    /// comes in anew by the one in force.
    fn begin(address: Address, key: &SigningKey, kind: PeerKind) -> Result<Self> {
        let session = Self::begin_at(address, key, kind)?;
        let site = session.log.site().context("a session begins with the whole record")?;
        match site.host_key() {
            Some(in_force) if in_force == session.address.key => Ok(session),
            Some(in_force) if site.is_or_was_host_key(&session.address.key) => {
                let address = Address { key: in_force, ..session.address.clone() };
                drop(session);
                Self::begin_at(address, key, kind)
            }
            _ => bail!("the record says that another hosts {} by now, or that its key was revoked", site.name()),
        }
    }

    fn begin_at(address: Address, key: &SigningKey, kind: PeerKind) -> Result<Self> {
        let (name, signing_key) = ("gembactl".to_owned(), key.clone());
        let link = connect(LinkConfig { address: address.clone(), signing_key, name, kind, entries_held: 0 });
        let mut session = Self { link, log: Log::new(), address, offset_micros: 0 };
        let (mut expected, mut progress) = (None, Progress::begin());
        while expected.is_none_or(|entries| session.log.entries() < entries) {
            match session.next()? {
                LinkEvent::Welcome { entries, .. } => expected = Some(entries),
                LinkEvent::Entries { entries, .. } => session.fold(entries)?,
                _ => {}
            }
            progress.show("entries", session.log.entries(), expected.unwrap_or(0));
        }
        Ok(session)
    }

    fn fold(&mut self, entries: Vec<Vec<u8>>) -> Result<()> {
        for entry in self.log.preverify_all(entries) {
            let index = self.log.entries();
            let placed = self.log.append_preverified(entry).and_then(Placed::must_be_new);
            placed.with_context(|| format!("the host's record is damaged or forged at entry {index}"))?;
        }
        Ok(())
    }

    fn submit(&mut self, entry: Vec<u8>) -> Result<u64> {
        self.link.send(LinkCommand::Submit { submission: 1, entry }).context("the link takes nothing")?;
        loop {
            if let LinkEvent::Answer { outcome, .. } = self.next()? {
                return outcome.map_err(|why| anyhow::anyhow!("the host refuses: {why}"));
            }
        }
    }

    fn next(&mut self) -> Result<LinkEvent> {
        let (begun, mut lost) = (Instant::now(), None);
        while begun.elapsed() < PATIENCE {
            match self.link.wait(Duration::from_millis(100)) {
                Some(LinkEvent::State(LinkState::Refused { why })) => bail!("the host refuses: {why}"),
                Some(LinkEvent::State(LinkState::Lost { why, .. })) => {
                    if lost.is_none() && std::io::stderr().is_terminal() {
                        eprintln!("gembactl: {why}; trying for {} s", PATIENCE.as_secs());
                    }
                    lost = Some(why);
                }
                // That the link tries again is no word of the host's.
                Some(LinkEvent::State(_)) => {}
                Some(LinkEvent::Clock { offset_micros, .. }) => self.offset_micros = offset_micros,
                Some(event) => return Ok(event),
                None => {}
            }
        }
        bail!("the host does not answer: {}", lost.as_deref().unwrap_or("is it running?"))
    }
}

/// What the machine that hosts the site can be called, whatever its name.
const HOST: &str = "host";

/// The one peer of this name, or whose key begins so; `host` is the site's host where nobody is named that.
pub(crate) fn peer(site: &Site, text: &str) -> Result<PeerKey> {
    let digits = text.to_lowercase();
    let is_meant = |key: &PeerKey, name: &str| {
        name.eq_ignore_ascii_case(text) || digits.len() >= DIGITS && key.to_string().starts_with(&digits)
    };
    let mut found = site.peers().filter(|(key, peer)| is_meant(key, &peer.name)).map(|(key, _)| *key);
    match (found.next(), found.next()) {
        (Some(peer), None) => Ok(peer),
        (None, _) if text == HOST => Ok(site.host()),
        (None, _) => bail!("{} knows nobody of the name or key {text}; gembactl role list names them", site.name()),
        (Some(a), Some(b)) => {
            bail!("several are called {text}, {} and {} among them: give the beginning of a key", a.short(), b.short())
        }
    }
}

/// The thing at this path.
pub(crate) fn thing(site: &Site, path: &ThingPath) -> Result<gemba_twin::path::ThingId> {
    Ok(site.thing_at(path).with_context(|| format!("there is no {path} in {}", site.name()))?.id)
}

/// Where viewers keep this person's key.
pub(crate) fn own_key_file() -> Result<PathBuf> {
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let data = data.or_else(|| Some(std::env::home_dir()?.join(".local/share")));
    Ok(data.context("there is no home directory; give --key FILE")?.join("gemba/person.key"))
}

/// The key in a file: 32 bytes, as viewers keep them, or 64 hexadecimal digits, as hosts do.
pub(crate) fn load(file: &Path) -> Result<SigningKey> {
    let bytes = super::record::read_file(file, 80).context("no key to speak by; give one with --key")?;
    let digits = || str::from_utf8(&bytes).ok()?.trim().parse::<PeerKey>().ok().map(|bytes| bytes.0);
    let seed = <[u8; 32]>::try_from(bytes.as_slice()).ok().or_else(digits);
    let seed = seed.with_context(|| format!("{} is no key: it has neither 32 bytes nor 64 digits", file.display()))?;
    Ok(SigningKey::from_bytes(&seed))
}

fn address_in(dir: &Path) -> Result<Address> {
    let path = dir.join(ADDRESS);
    let text = std::fs::read_to_string(&path).ok().filter(|text| text.len() < 1024);
    let text = text.context("this site has never been served; start its host first: gembad DIR --listen ADDR")?;
    text.trim().parse::<Address>().with_context(|| format!("{} holds no address", path.display()))
}
