//! What a tag means: the type, unit and range of its values.

use std::fmt;

use minicbor::{Decode, Encode};

use crate::limits;
use crate::path::TagPath;
use crate::sample::ValueKind;

/// Symbol of a unit as a person reads it (`°C`, `m/s`, `%`). Empty for a bare number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Unit(#[n(0)] String);

impl Unit {
    /// A unit from a symbol; a longer one than [`limits::UNIT_BYTES`] is cut at a character.
    pub fn new(symbol: &str) -> Self {
        let mut end = symbol.len().min(limits::UNIT_BYTES);
        while !symbol.is_char_boundary(end) {
            end -= 1;
        }
        Self(symbol[..end].to_owned())
    }

    /// The symbol.
    pub fn symbol(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The span a value normally lies in, in the tag's unit; `low < high`, both finite.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
pub struct Range {
    /// Lower end.
    #[n(0)]
    pub low: f64,
    /// Upper end.
    #[n(1)]
    pub high: f64,
}

impl Range {
    /// None unless `low < high` and both are finite.
    pub fn new(low: f64, high: f64) -> Option<Self> {
        (low.is_finite() && high.is_finite() && low < high).then_some(Self { low, high })
    }

    /// Where `value` lies: 0 at the lower end, 1 at the upper; outside it beyond them.
    pub fn fraction(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// One measured or commanded value of a thing: what the gateway learnt of it.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Tag {
    /// Its place: the thing's path and the tag's name.
    #[n(0)]
    pub path: TagPath,
    /// Type of its values.
    #[n(1)]
    pub kind: ValueKind,
    /// Unit of its values.
    #[n(2)]
    pub unit: Unit,
    /// Normal range, if the device gives one.
    #[n(3)]
    pub range: Option<Range>,
    /// Whether the device accepts commands to it.
    #[n(4)]
    pub writable: bool,
}
