//! How a tag drives something visible. Designers write bindings into a glTF node's `extras.gemba.bind`; the record
//! carries them from then on.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::path::TagPath;

/// One tag drives one aspect of one thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The tag that drives.
    #[n(0)]
    pub tag: TagPath,
    /// What it drives.
    #[n(1)]
    #[serde(rename = "to")]
    pub target: Target,
    /// Multiplies the tag's number before it is applied (0.0174533 turns degrees into radians). Default 1.
    #[n(2)]
    #[serde(default = "one")]
    pub scale: f64,
    /// Added after scaling. Default 0.
    #[n(3)]
    #[serde(default)]
    pub offset: f64,
}

fn one() -> f64 {
    1.0
}

/// The aspect of a thing that a binding drives. Motion is relative to the pose the model was drawn in, in the frame
/// of the node's parent for translations and of the node itself for rotations and scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Target {
    /// Metres along the parent's +X, added to the drawn place.
    #[n(0)]
    TranslateX,
    /// Metres along the parent's +Y.
    #[n(1)]
    TranslateY,
    /// Metres along the parent's +Z.
    #[n(2)]
    TranslateZ,
    /// Radians about the node's own +X, after the drawn rotation.
    #[n(3)]
    RotateX,
    /// Radians about the node's own +Y.
    #[n(4)]
    RotateY,
    /// Radians about the node's own +Z.
    #[n(5)]
    RotateZ,
    /// Factor of the drawn size along +Y: the level of a tank's liquid.
    #[n(6)]
    ScaleY,
    /// Shown when the number is at least 0.5.
    #[n(7)]
    Visible,
    /// Lit when the number is at least 0.5: one lamp of a stack light.
    #[n(8)]
    Lamp,
    /// The number is a [`crate::machine_state::MachineState`], shown as the thing's state.
    #[n(9)]
    State,
}

impl Target {
    /// Whether values between two samples mean something, so that the viewer may interpolate.
    pub fn is_continuous(self) -> bool {
        !matches!(self, Target::Visible | Target::Lamp | Target::State)
    }
}
