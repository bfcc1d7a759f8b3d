//! One measured or commanded value with its quality and times.

use std::fmt;

use minicbor::{Decode, Encode};

/// An instant: microseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Timestamp(#[n(0)] pub i64);

impl Timestamp {
    /// From seconds since the Unix epoch.
    pub fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// How long after `earlier` this is, in microseconds; negative when it is before.
    pub fn micros_since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This instant moved by `micros` microseconds.
    #[must_use]
    pub fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }
}

/// How far a value can be trusted, as OPC UA Part 8 divides status codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Quality {
    /// The value is what the device measured.
    #[n(0)]
    Good,
    /// There is a value, but it may not be right: a sensor out of its range, a substituted value.
    #[n(1)]
    Uncertain,
    /// There is no usable value: device off, sensor broken, connection lost.
    #[n(2)]
    Bad,
}

impl Quality {
    /// What a person reads.
    pub fn label(self) -> &'static str {
        match self {
            Quality::Good => "good",
            Quality::Uncertain => "uncertain",
            Quality::Bad => "bad",
        }
    }
}

/// A value as devices give it.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum Value {
    /// On or off.
    #[n(0)]
    Bool(#[n(0)] bool),
    /// A count or a code.
    #[n(1)]
    Int(#[n(0)] i64),
    /// A quantity; its unit stands with the tag.
    #[n(2)]
    Float(#[n(0)] f64),
    /// A name, a recipe, a message.
    #[n(3)]
    Text(#[n(0)] String),
}

impl Value {
    /// The value as a number to plot or to drive a part with; none for text and for what is not finite.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Bool(b) => Some(f64::from(u8::from(*b))),
            Value::Int(i) => Some(*i as f64),
            Value::Float(f) => f.is_finite().then_some(*f),
            Value::Text(_) => None,
        }
    }

    /// The type of the value.
    pub fn kind(&self) -> ValueKind {
        match self {
            Value::Bool(_) => ValueKind::Bool,
            Value::Int(_) => ValueKind::Int,
            Value::Float(_) => ValueKind::Float,
            Value::Text(_) => ValueKind::Text,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(true) => f.write_str("on"),
            Value::Bool(false) => f.write_str("off"),
            Value::Int(i) => write!(f, "{i}"),
            Value::Float(v) if v.abs() >= 1000.0 => write!(f, "{v:.0}"),
            Value::Float(v) if v.abs() >= 100.0 => write!(f, "{v:.1}"),
            Value::Float(v) => write!(f, "{v:.2}"),
            Value::Text(t) => f.write_str(t),
        }
    }
}

/// The type of a tag's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum ValueKind {
    /// [`Value::Bool`]
    #[n(0)]
    Bool,
    /// [`Value::Int`]
    #[n(1)]
    Int,
    /// [`Value::Float`]
    #[n(2)]
    Float,
    /// [`Value::Text`]
    #[n(3)]
    Text,
}

/// One value of one tag at one instant.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Sample {
    /// What was measured; none when the quality is bad and the device gave nothing.
    #[n(0)]
    pub value: Option<Value>,
    /// How far to trust it.
    #[n(1)]
    pub quality: Quality,
    /// When the device says it was so.
    #[n(2)]
    pub source_time: Timestamp,
    /// When the gateway received it, on the gateway's clock.
    #[n(3)]
    pub server_time: Timestamp,
}
