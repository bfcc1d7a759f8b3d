//! An identity outlives its keys. It is named by its first key; a later key is one that was promised (by hash) while an
//! earlier one was in force, or one that enough of its guardians vouch for. So a thief of today's key cannot take the
//! identity over: he does not know the next one.
//!
//! The idea of promising the next key is KERI's (Smith 2019, <https://arxiv.org/abs/1907.02143>, "pre-rotation").

use ed25519_dalek::{Signer, SigningKey};
use gemba_twin::peer::PeerKey;
use minicbor::{Decode, Encode};

use crate::entry::{KeyNumber, SiteId, encode};
use crate::limits;
use crate::refusal::Refusal;
use crate::signature;

/// What every approval of a recovery covers first.
pub const RECOVERY_DOMAIN: &[u8] = b"gemba 2026 recovery of an identity\n";

/// BLAKE3 of a key that nobody has seen yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct KeyPromise(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

impl KeyPromise {
    /// The promise that this key comes next.
    pub fn of(key: &PeerKey) -> Self {
        Self(blake3::derive_key("gemba 2026 promise of a next key", &key.0))
    }
}

/// Who may give an identity a new key when its holder has lost the old ones: any `needed` of `members`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Guardians {
    /// Peers of the site, in ascending order, none twice, not the identity itself.
    #[n(0)]
    pub members: Vec<PeerKey>,
    /// How many must agree, 1 or more.
    #[n(1)]
    pub needed: u32,
}

impl Guardians {
    pub(crate) fn check(&self, identity: Option<&PeerKey>) -> Result<(), Refusal> {
        let members = &self.members;
        if !members.is_sorted_by(|a, b| a < b) || members.len() > limits::GUARDIANS {
            return refuse(format!("guardians must be up to {} peers, in order, none twice", limits::GUARDIANS));
        }
        if self.needed == 0 || self.needed as usize > members.len() {
            return refuse("fewer guardians than must agree, or none");
        }
        if identity.is_some_and(|identity| members.contains(identity)) {
            return refuse("nobody is their own guardian");
        }
        Ok(())
    }
}

/// What an identity promises for the day its key is lost or stolen.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Inception {
    /// The key that comes next.
    #[n(0)]
    pub next: Option<KeyPromise>,
    /// Who can bring a new key when that one is lost as well.
    #[n(1)]
    pub guardians: Option<Guardians>,
}

/// The next key of an identity, and what it promises in turn. The entry that says so is signed by this key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct NewKey {
    /// The key.
    #[n(0)]
    pub key: PeerKey,
    /// The promise of the one after it.
    #[n(1)]
    pub next: Option<KeyPromise>,
}

/// A guardian's word that an identity's new key is its holder's.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Approval {
    /// The guardian's identity.
    #[n(0)]
    pub guardian: PeerKey,
    /// Its signature, by its key in force, over [`recovery_message`].
    #[cbor(n(1), with = "minicbor::bytes")]
    pub signature: Vec<u8>,
}

impl Approval {
    /// Vouches that `new` is the key number `number` of `identity`.
    pub fn sign(
        guardian: PeerKey,
        key: &SigningKey,
        site: SiteId,
        identity: &PeerKey,
        number: KeyNumber,
        new: &NewKey,
    ) -> Self {
        let signature = key.sign(&recovery_message(site, identity, number, new)).to_bytes().to_vec();
        Self { guardian, signature }
    }
}

/// What a guardian signs: [`RECOVERY_DOMAIN`] and the CBOR array of site, identity, key number and new key.
pub fn recovery_message(site: SiteId, identity: &PeerKey, number: KeyNumber, new: &NewKey) -> Vec<u8> {
    let mut message = RECOVERY_DOMAIN.to_vec();
    message.extend(encode(&(site, *identity, number, new.clone())));
    message
}

/// The keys of one identity, as far as the log has come.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Keys {
    /// All it ever had; the last is in force unless revoked. Its number is its place.
    #[n(0)]
    keys: Vec<PeerKey>,
    /// Set while no key is in force.
    #[n(1)]
    revoked: bool,
    /// What the holder has promised.
    #[n(2)]
    promised: Inception,
}

impl Keys {
    /// Those of an identity that begins.
    pub fn begin(identity: PeerKey) -> Self {
        Self { keys: vec![identity], revoked: false, promised: Inception { next: None, guardians: None } }
    }

    /// The key in force, if its number is this one.
    pub fn in_force(&self, number: KeyNumber) -> Option<PeerKey> {
        (!self.revoked && number == self.number()).then(|| *self.keys.last().expect("an identity begins with a key"))
    }

    /// Whether this is or was one of them.
    pub fn had(&self, key: &PeerKey) -> bool {
        self.keys.contains(key)
    }

    /// All of them, the newest last.
    pub fn all(&self) -> &[PeerKey] {
        &self.keys
    }

    /// The number of the newest key.
    pub fn number(&self) -> KeyNumber {
        KeyNumber(self.keys.len() as u32 - 1)
    }

    /// The number that a new key gets.
    pub fn next_number(&self) -> KeyNumber {
        KeyNumber(self.keys.len() as u32)
    }

    /// Whether the newest key was revoked.
    pub fn is_revoked(&self) -> bool {
        self.revoked
    }

    /// What was promised.
    pub fn promised(&self) -> &Inception {
        &self.promised
    }

    /// Whether its holder can still come to a key when the one in force is revoked.
    pub fn can_return(&self) -> bool {
        self.promised.next.is_some() || self.promised.guardians.is_some()
    }

    pub(crate) fn check_inception(&self, inception: &Inception) -> Result<(), Refusal> {
        if self.promised.next.is_some() && inception.next != self.promised.next {
            return refuse("the next key is promised already: only a rotation promises another");
        }
        inception.guardians.as_ref().map_or(Ok(()), |guardians| guardians.check(self.keys.first()))
    }

    pub(crate) fn check_rotation(&self, new: &NewKey) -> Result<(), Refusal> {
        self.check_new(new)?;
        match self.promised.next {
            Some(promise) if promise == KeyPromise::of(&new.key) => Ok(()),
            Some(_) => refuse("the new key is not the one that was promised"),
            None => refuse("no next key was promised: guardians must vouch for a new one"),
        }
    }

    /// `key_of` tells a guardian's key in force.
    pub(crate) fn check_recovery(
        &self,
        site: SiteId,
        new: &NewKey,
        approvals: &[Approval],
        key_of: impl Fn(&PeerKey) -> Option<PeerKey>,
    ) -> Result<(), Refusal> {
        self.check_new(new)?;
        let Some(guardians) = &self.promised.guardians else { return refuse("no guardians were named") };
        // In order and none twice, so that one guardian cannot count as two.
        if !approvals.is_sorted_by(|a, b| a.guardian < b.guardian) {
            return refuse("approvals must be in the order of their guardians, none twice");
        }
        let message = recovery_message(site, &self.keys[0], self.next_number(), new);
        for Approval { guardian, signature } in approvals {
            if !guardians.members.contains(guardian) {
                return refuse(format!("{} is no guardian of this identity", guardian.short()));
            }
            let key = key_of(guardian).ok_or(Refusal::KeyNotInForce)?;
            signature::verify(&key, &message, signature)?;
        }
        if approvals.len() < guardians.needed as usize {
            return refuse(format!("{} guardians agree and {} must", approvals.len(), guardians.needed));
        }
        Ok(())
    }

    fn check_new(&self, new: &NewKey) -> Result<(), Refusal> {
        if self.keys.contains(&new.key) {
            return refuse("an old key cannot come back");
        }
        if self.keys.len() >= limits::KEYS_OF_AN_IDENTITY {
            return Err(Refusal::Full("keys of an identity"));
        }
        signature::verifying_key(&new.key).map(|_| ())
    }

    pub(crate) fn promise(&mut self, inception: Inception) {
        self.promised = inception;
    }

    pub(crate) fn renew(&mut self, new: NewKey) {
        self.keys.push(new.key);
        self.revoked = false;
        self.promised.next = new.next;
    }

    pub(crate) fn revoke(&mut self) {
        self.revoked = true;
    }
}

fn refuse<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Content(why.into()))
}
