//! What a factory twin is: the words of the design as Rust types.
//!
//! Everything here is a value or a function from values to values. Absent on purpose: files, sockets, clocks,
//! randomness, threads, tokio and Bevy. Lengths are metres, angles radians, time microseconds since the Unix epoch,
//! frames right-handed with +Y up, unless a name says otherwise.
//!
//! - [`path`]: where a thing stands in the plant tree, and the tags it has
//! - [`peer`]: the key that names a participant
//! - [`sample`]: one measured value with quality and time
//! - [`tag`]: what a tag means: unit, range, type
//! - [`machine_state`]: what a machine is doing, in PackML's spirit
//! - [`kpi`]: availability, performance, quality, OEE
//! - [`binding`]: how a tag drives something visible
//! - [`thing`]: a piece of equipment or structure
//! - [`place`]: where a thing stands and how it is turned
//! - [`viewpoint`]: what a person looks at
//! - [`model`]: the plant tree read out of a glTF file
//! - [`arm`]: kinematics of a six-axis arm
//! - [`layout`]: the parametric demo plant: what stands where, and how material flows
//! - [`limits`]: the size of everything that comes from outside

pub mod arm;
pub mod binding;
pub mod kpi;
pub mod layout;
pub mod limits;
pub mod machine_state;
pub mod model;
pub mod path;
pub mod peer;
pub mod place;
pub mod sample;
pub mod tag;
pub mod thing;
pub mod viewpoint;
