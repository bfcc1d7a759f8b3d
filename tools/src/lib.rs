//! The commands of `gembactl`: what one does to a site from a terminal, outside the viewer.
//!
//! - [`plant`]: draws the demo plant as glTF
//! - [`pack`]: one `.glb` out of a `.gltf` and the files beside it
//!
//! Absent on purpose: rendering, Bevy, and any rule of the record or of a protocol; those belong to the crates below.

pub mod pack;
pub mod plant;
