//! The viewer: a Bevy app in which people stand in a plant together. One feature is one folder or file with one
//! plugin; the site is the truth, the entities are the picture, and [`mirror`] copies the one into the other.
//!
//! Absent on purpose: anything of the host (the demo starts `gembad` beside the viewer), any device protocol, and any
//! decision about who may do what.

pub mod actions;
pub mod alarms;
pub mod app;
pub mod args;
pub mod beam;
pub mod bodies;
pub mod calendar;
pub mod camera;
pub mod cursor;
pub mod demo;
pub mod edits;
pub mod free_rect;
pub mod headset;
pub mod help;
pub mod inspector;
pub mod labels;
pub mod link;
pub mod loading;
pub mod measure;
pub mod mirror;
pub mod network;
pub mod past;
pub mod people;
pub mod places;
pub mod plant;
pub mod playing;
pub mod pointer;
pub mod problems;
pub mod quality;
pub mod readings;
pub mod report;
pub mod run;
pub mod schedule;
pub mod selection;
pub mod site;
pub mod state_mark;
pub mod status;
pub mod target;
pub mod theme;
pub mod timeline;
pub mod toasts;
pub mod tool;
pub mod tree;
pub mod view;
pub mod viewpoints;
pub mod window_icon;
