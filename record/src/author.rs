//! Signing entries for one site: what a client, a gateway or an import tool holds.

use ed25519_dalek::SigningKey;
use gemba_twin::peer::PeerKey;
use gemba_twin::sample::Timestamp;

use crate::body::Body;
use crate::entry::{Entry, EntryId, KeyNumber, Seen, SignedEntry, SiteId, VERSION};
use crate::site::Site;

/// A peer that writes to a site.
///
/// ```
/// use gemba_record::{author::Author, body::Body, entry::{EntryId, SiteId}};
/// # let thing = "Hall1".parse::<gemba_twin::path::ThingPath>().unwrap().id();
/// let mut author = Author::new(ed25519_dalek::SigningKey::from_bytes(&[7; 32]), SiteId([1; 16]));
/// author.clock = Some(gemba_twin::sample::Timestamp::from_secs(1_790_000_000)); // now, as the caller knows it
/// let id = EntryId([9; 16]); // sixteen random bytes, drawn once and kept for every retry
/// let note = author.sign(Body::note(thing, "bearing is loud"), id);
/// assert_eq!(note.entry().author, author.identity);
/// ```
#[derive(Clone)]
pub struct Author {
    /// Who it is: the first key it ever had.
    pub identity: PeerKey,
    /// Which of its keys `signing_key` is.
    pub number: KeyNumber,
    /// The key it signs with now.
    pub signing_key: SigningKey,
    /// The site it writes to.
    pub site: SiteId,
    /// The time that its next entries carry.
    pub clock: Option<Timestamp>,
    /// The newest checkpoint it has verified, which its next entries name.
    pub seen: Option<Seen>,
}

impl Author {
    /// A peer that has never changed its key.
    pub fn new(signing_key: SigningKey, site: SiteId) -> Self {
        let identity = PeerKey(signing_key.verifying_key().to_bytes());
        Self { identity, number: KeyNumber(0), signing_key, site, clock: None, seen: None }
    }

    /// The peer of this site whose key in force this is; of a key that the site does not know, a peer that begins.
    pub fn of(site: &Site, signing_key: SigningKey) -> Self {
        let begin = Self::new(signing_key, site.id());
        let key = begin.identity;
        let identity = if site.host_key() == Some(key) { Some(site.host()) } else { site.holder_of(&key) };
        match identity.and_then(|identity| Some((identity, site.peer(&identity)?.keys.number()))) {
            Some((identity, number)) => Self { identity, number, ..begin },
            None => begin,
        }
    }

    /// The author's identity.
    pub fn key(&self) -> PeerKey {
        self.identity
    }

    /// The author at this time.
    #[must_use]
    pub fn at(mut self, clock: Timestamp) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Says `body`. `id` is sixteen random bytes: the same for a retry, another for another entry.
    pub fn sign(&self, body: Body, id: EntryId) -> SignedEntry {
        let Self { identity, number, site, clock, seen, .. } = self;
        let (author, key, at, seen) = (*identity, *number, *clock, *seen);
        Entry { version: VERSION, site: *site, author, id, body, key, at, seen }.sign(&self.signing_key)
    }
}
