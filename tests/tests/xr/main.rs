//! In the headset: a real OpenXR runtime, its head and hands moved by the test, its eyes looked through.
//!
//! - `sight`: what the eyes see
//! - `presence`: what the others see
//! - `moving`: teleport and turning
//! - `panels`: the desktop's panels around the person
//! - `doing`: valves, alarms, time
//! - `correctness`: OpenXR used as it is meant to be
//! - `hand`: tools and moving, with one hand
//! - `cards`: pinned inspectors beside their machines
//! - `losing`: session and runtime, lost and found
//! - `places`: where things of the demo plant are
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod cards;
mod correctness;
mod doing;
mod hand;
mod losing;
mod moving;
mod panels;
mod places;
mod presence;
mod sight;
