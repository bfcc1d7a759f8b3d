//! Signing entries for one site: what a client, a gateway or an import tool holds.

use ed25519_dalek::SigningKey;
use gemba_twin::peer::PeerKey;

use crate::body::Body;
use crate::entry::{Entry, EntryId, SignedEntry, SiteId, VERSION};

/// A key that writes to a site.
///
/// ```
/// use gemba_record::{author::Author, body::Body, entry::{EntryId, SiteId}};
/// # let thing = "Hall1".parse::<gemba_twin::path::ThingPath>().unwrap().id();
/// let author = Author { signing_key: ed25519_dalek::SigningKey::from_bytes(&[7; 32]), site: SiteId([1; 16]) };
/// let id = EntryId([9; 16]); // sixteen random bytes, drawn once and kept for every retry
/// let note = author.sign(Body::AddNote { thing, text: "bearing is loud".into() }, id);
/// assert_eq!(note.entry().author, author.key());
/// ```
#[derive(Clone)]
pub struct Author {
    /// The author's key.
    pub signing_key: SigningKey,
    /// The site it writes to.
    pub site: SiteId,
}

impl Author {
    /// The author's identity.
    pub fn key(&self) -> PeerKey {
        PeerKey(self.signing_key.verifying_key().to_bytes())
    }

    /// Says `body`. `id` is sixteen random bytes: the same for a retry, another for another entry.
    pub fn sign(&self, body: Body, id: EntryId) -> SignedEntry {
        Entry { version: VERSION, site: self.site, author: self.key(), id, body }.sign(&self.signing_key)
    }
}
