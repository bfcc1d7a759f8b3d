//! Where a thing stands in the plant tree (`Hall1/Line2/Robot3/Joint4`), and the tags it has
//! (`Hall1/Line2/Robot3/Joint4/Angle`). Names follow ISA-95: site, area, line, unit, part.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits;

/// A text that is not a plant path.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PathError {
    /// Nothing, or nothing between two slashes.
    #[error("a plant path must not be empty or have empty parts")]
    Empty,
    /// Over [`limits::PATH_BYTES`] or [`limits::PATH_DEPTH`].
    #[error("a plant path may have {} bytes and {} parts", limits::PATH_BYTES, limits::PATH_DEPTH)]
    TooLong,
    /// A control character.
    #[error("a plant path must not hold control characters")]
    Control,
}

fn check(text: &str) -> Result<(), PathError> {
    if text.len() > limits::PATH_BYTES || text.split('/').count() > limits::PATH_DEPTH {
        return Err(PathError::TooLong);
    }
    if text.split('/').any(str::is_empty) {
        return Err(PathError::Empty);
    }
    if text.chars().any(char::is_control) {
        return Err(PathError::Control);
    }
    Ok(())
}

macro_rules! path_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The path as text, parts joined by `/`.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The last part: what a person calls it.
            pub fn name(&self) -> &str {
                self.0.rsplit('/').next().unwrap_or(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = PathError;
            fn from_str(text: &str) -> Result<Self, PathError> {
                check(text)?;
                Ok(Self(text.into()))
            }
        }
        impl TryFrom<String> for $name {
            type Error = PathError;
            fn try_from(text: String) -> Result<Self, PathError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(path: $name) -> String {
                path.0.into()
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl<C> Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.str(&self.0)?.ok()
            }
        }
        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                let at = d.position();
                d.str()?.parse().map_err(|e: PathError| minicbor::decode::Error::message(e.to_string()).at(at))
            }
        }
    };
}

path_type! {
    /// Place of a thing in the plant tree, such as `Hall1/Line2/Robot3`.
    ThingPath
}

path_type! {
    /// Place of a tag: its thing's path and its own name, such as `Hall1/Line2/Tank1/Level`.
    TagPath
}

impl ThingPath {
    /// The path of what this thing is part of; none for a root.
    pub fn parent(&self) -> Option<ThingPath> {
        self.0.rsplit_once('/').map(|(head, _)| ThingPath(head.into()))
    }

    /// The path of a part of this thing.
    pub fn child(&self, name: &str) -> Result<ThingPath, PathError> {
        format!("{}/{name}", self.0).parse()
    }

    /// The path of a tag of this thing.
    pub fn tag(&self, name: &str) -> Result<TagPath, PathError> {
        format!("{}/{name}", self.0).parse()
    }

    /// How many parts the path has; 1 for a root.
    pub fn depth(&self) -> usize {
        self.0.split('/').count()
    }

    /// The stable identity of the thing first created at this path.
    pub fn id(&self) -> ThingId {
        let hash = blake3::derive_key("gemba 2026 thing id from path", self.0.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        ThingId(id)
    }
}

impl TagPath {
    /// The thing that has this tag; none for a tag at the root.
    pub fn thing(&self) -> Option<ThingPath> {
        self.0.rsplit_once('/').map(|(head, _)| ThingPath(head.into()))
    }
}

/// Identity of a thing for its whole life, whatever its path becomes: 128 bits, first derived from its first path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct ThingId(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 16]);

impl fmt::Debug for ThingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ThingId({self})")
    }
}

impl fmt::Display for ThingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// Number of a tag within its site, in the order the record declared them: what samples carry instead of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct TagId(#[n(0)] pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_an_empty_part_is_refused() {
        for bad in ["", "/", "a//b", "/a", "a/"] {
            assert_eq!(bad.parse::<ThingPath>(), Err(PathError::Empty), "{bad:?}");
        }
        assert_eq!("a\nb".parse::<ThingPath>(), Err(PathError::Control));
        assert_eq!("x/".repeat(600).parse::<ThingPath>(), Err(PathError::TooLong));
    }

    #[test]
    fn a_tag_knows_its_thing_and_a_thing_its_parent() {
        let tag: TagPath = "Hall1/Line2/Tank1/Level".parse().unwrap();
        let thing = tag.thing().unwrap();
        assert_eq!((thing.as_str(), tag.name()), ("Hall1/Line2/Tank1", "Level"));
        assert_eq!(thing.parent().unwrap().as_str(), "Hall1/Line2");
        assert_eq!(thing.tag("Level").unwrap(), tag);
    }
}
