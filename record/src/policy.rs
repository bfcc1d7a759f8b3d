//! Who has to have cosigned a site's log before what stands in it is final, as the site's owners say in the record.
//!
//! It is kept as part of the site's state; [`SitePolicy::quorum`] makes the [`Policy`] of it that judges checkpoints.

use gemba_twin::peer::PeerKey;
use minicbor::{Decode, Encode};

use crate::checkpoint::origin;
use crate::entry::SiteId;
use crate::limits;
use crate::note::{NoteError, SignatureKind, VerifierKey};
use crate::quorum::{Members, Policy, PolicyError};

/// Witnesses and mirrors of a site, and how many of each are needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SitePolicy {
    /// Who watches the log.
    #[n(0)]
    pub witnesses: Vec<Member>,
    /// How many different ones of them have to have cosigned.
    #[n(1)]
    pub witnesses_needed: u32,
    /// Who holds a copy.
    #[n(2)]
    pub mirrors: Vec<Member>,
    /// How many different ones of them have to have cosigned.
    #[n(3)]
    pub mirrors_needed: u32,
}

/// One who cosigns.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Member {
    /// The name it signs under.
    #[n(0)]
    pub name: String,
    /// Its key.
    #[n(1)]
    pub key: PeerKey,
    /// Where the host asks it: the submission prefix of `tlog-witness` and `tlog-mirror`, without a slash at its end.
    #[n(2)]
    pub url: String,
}

impl SitePolicy {
    /// What judges checkpoints of this site. An error says why it could never be met, or be met by too few.
    pub fn quorum(&self, site: SiteId, host: PeerKey) -> Result<Policy, PolicyError> {
        let log = VerifierKey::new(&origin(site), SignatureKind::Log, host).map_err(PolicyError::Key)?;
        let members = |members: &[Member], needed: u32| -> Result<Members, PolicyError> {
            let keys = members.iter().map(Member::verifier).collect::<Result<_, _>>().map_err(PolicyError::Key)?;
            Ok(Members { keys, needed: needed as usize })
        };
        let witnesses = members(&self.witnesses, self.witnesses_needed)?;
        Policy::new(log, witnesses, members(&self.mirrors, self.mirrors_needed)?)
    }

    /// Whether all that it says can be kept: no URL that is too long or none.
    pub(crate) fn has_sound_urls(&self) -> bool {
        let sound = |member: &Member| {
            let rest = member.url.strip_prefix("http://").or_else(|| member.url.strip_prefix("https://"));
            let plain = |url: &str| !url.is_empty() && !url.ends_with('/') && url.chars().all(|c| c.is_ascii_graphic());
            rest.is_some_and(plain) && member.url.len() <= limits::NAME_BYTES && member.name.len() <= limits::NAME_BYTES
        };
        self.witnesses.iter().chain(&self.mirrors).all(sound)
    }
}

impl Member {
    /// What its cosignatures are verified with.
    pub fn verifier(&self) -> Result<VerifierKey, NoteError> {
        VerifierKey::new(&self.name, SignatureKind::Cosignature, self.key)
    }
}
