//! The harness of the whole-system tests: real programs, started as a person starts them, in folders that go when the
//! test ends.
//!
//! - [`program`]: the built programs as child processes
//! - [`plant_site`]: a simulated plant with its host, ready for viewers
//! - [`editor`]: a person who changes the plant without a screen
//! - [`past_host`]: a host that knows what every tag read in the last hours
//! - [`picture`]: reading and comparing what a viewer has rendered
//! - [`xr_rig`]: a person in a headset, in a real OpenXR runtime
//! - [`shared`]: the folder of data to test with, which a fresh clone does not have

pub mod editor;
pub mod past_host;
pub mod picture;
pub mod plant_site;
pub mod program;
pub mod shared;
pub mod xr_rig;
