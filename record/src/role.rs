//! Who may say what. Roles are ordered: each may do all that the one below may. What is not allowed here is refused.
//!
//! A role is granted for the whole site or for one thing with all its parts.

use std::fmt;
use std::str::FromStr;

use gemba_twin::path::ThingId;
use minicbor::{Decode, Encode};

/// What a peer may do in a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Role {
    /// Sees everything, changes nothing.
    #[n(0)]
    Viewer,
    /// May also leave notes.
    #[n(1)]
    Commenter,
    /// May also change the plant: models, things; a device: declare tags.
    #[n(2)]
    Editor,
    /// May also command devices.
    #[n(3)]
    Operator,
    /// May also admit peers.
    #[n(4)]
    Owner,
}

/// A role and where it holds.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Grant {
    /// What may be done.
    #[n(0)]
    pub role: Role,
    /// In this thing and all its parts; none for the whole site.
    #[n(1)]
    pub scope: Option<ThingId>,
}

const NAMES: [(Role, &str); 5] = [
    (Role::Viewer, "viewer"),
    (Role::Commenter, "commenter"),
    (Role::Editor, "editor"),
    (Role::Operator, "operator"),
    (Role::Owner, "owner"),
];

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES[*self as usize].1)
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(_, name)| *name == text);
        found
            .map(|(role, _)| *role)
            .ok_or_else(|| format!("{text:?} is no role; it is viewer, commenter, editor, operator or owner"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_survives_its_name() {
        for (role, name) in NAMES {
            assert_eq!((role.to_string().as_str(), name.parse()), (name, Ok(role)));
        }
        assert!("boss".parse::<Role>().is_err());
    }
}
