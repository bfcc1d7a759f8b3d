//! Why an entry is not taken. Every refusal is one line that its author can act on.

use thiserror::Error;

use crate::role::Role;

/// Why an entry is not taken. Nothing has changed when this is returned.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// More bytes than [`crate::limits::ENTRY_BYTES`].
    #[error("the entry has {0} bytes; at most {max} are taken: split it", max = crate::limits::ENTRY_BYTES)]
    TooLarge(usize),
    /// Not CBOR, or not of the entry's form.
    #[error("the entry cannot be read: {0}")]
    Unreadable(String),
    /// A format version this program does not know.
    #[error("the entry has format {0}; this program reads format {known}: update it", known = crate::entry::VERSION)]
    Newer(u32),
    /// It reads, but these are not the bytes this content must have.
    #[error("the entry is not in its one deterministic encoding")]
    NotCanonical,
    /// A signature algorithm this program does not know.
    #[error("the entry is signed with unknown algorithm {0}; only 1 (Ed25519) is taken")]
    Algorithm(u32),
    /// A public key that is no point of the curve, or of small order, so that its signatures prove nothing.
    #[error("the key of the entry or in it is weak or no Ed25519 key")]
    WeakKey,
    /// The signature is not the author's over these bytes.
    #[error("the entry's signature is wrong: it was changed or forged")]
    Signature,
    /// The entry belongs to another site.
    #[error("the entry was written for another site")]
    OtherSite,
    /// The first entry of a log does not found a site.
    #[error("the first entry of a record must found the site")]
    NotFounded,
    /// A second founding.
    #[error("the site is founded already")]
    FoundedAlready,
    /// The same id was used for other bytes.
    #[error("another entry with the same id is in the record already")]
    IdTaken,
    /// The author is no peer of the site.
    #[error("the author is not admitted to this site: ask an owner")]
    NotAdmitted,
    /// The author's role allows less than this entry needs.
    #[error("the author is a {has} and this needs {needs} or more: ask an owner")]
    Role {
        /// The role the author has.
        has: Role,
        /// The lowest role that may say this.
        needs: Role,
    },
    /// The author's role holds in another part of the plant.
    #[error("the author is {needs} or more elsewhere, but not here: ask an owner")]
    Scope {
        /// The lowest role that may say this.
        needs: Role,
    },
    /// The author's key has been replaced or revoked.
    #[error("the key of the entry is not in force: use the newest key of this identity")]
    KeyNotInForce,
    /// The author's clock is ahead of the host's. Only a host that sequences says so: it alone has a clock to compare.
    #[error("the entry is dated {} min ahead of the host's clock: set this device's clock right and try again", .0.div_euclid(60))]
    ClockAhead(i64),
    /// An invitation that has ended, was used, or never was.
    #[error("the invitation cannot be used: {0}; ask for a new one")]
    Invitation(&'static str),
    /// A state digest that is not ours.
    #[error("the host commits to another state of the site than these entries fold to")]
    OtherState,
    /// Only the host may say this.
    #[error("only the site's host may say this")]
    NotTheHost,
    /// Only devices may declare tags.
    #[error("only a device may declare tags, and the author is admitted as none")]
    NoDevice,
    /// The site would be left without an owner.
    #[error("a site keeps at least one owner")]
    LastOwner,
    /// A tag that another device declared.
    #[error("tag {0} was declared by another device")]
    TagOfAnother(String),
    /// Something the entry speaks of is not in the site.
    #[error("{0} is not in this site")]
    Unknown(String),
    /// Content that no site can hold.
    #[error("the entry's content is refused: {0}")]
    Content(String),
    /// A limit of the site is reached.
    #[error("the site holds as many {0} as it may")]
    Full(&'static str),
}
