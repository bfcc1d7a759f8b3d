//! A piece of equipment or structure in the plant tree.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::binding::Binding;
use crate::path::ThingPath;

/// Level of a thing in the equipment hierarchy of ISA-95 (IEC 62264-1), and what lies below its lowest one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Level {
    /// A whole site.
    #[n(0)]
    Site,
    /// A hall or area.
    #[n(1)]
    Area,
    /// A production line.
    #[n(2)]
    Line,
    /// One machine.
    #[n(3)]
    Unit,
    /// A part of a machine, or structure that is no equipment.
    #[default]
    #[n(4)]
    Part,
}

/// What a thing is, as plant people class it: decides its icon, label and default camera distance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Class {
    /// Nothing more is known.
    #[default]
    #[n(0)]
    Other,
    /// Walls, columns, floor, fences.
    #[n(1)]
    Structure,
    /// Moves parts from place to place on a belt or on rollers.
    #[n(2)]
    Conveyor,
    /// An articulated arm.
    #[n(3)]
    Robot,
    /// A machining cell.
    #[n(4)]
    Cnc,
    /// Holds liquid.
    #[n(5)]
    Tank,
    /// Moves liquid.
    #[n(6)]
    Pump,
    /// Opens and closes a pipe.
    #[n(7)]
    Valve,
    /// A pipe.
    #[n(8)]
    Pipe,
    /// An autonomous vehicle.
    #[n(9)]
    Amr,
    /// A rack for pallets.
    #[n(10)]
    Rack,
    /// A stack light.
    #[n(11)]
    StackLight,
    /// A workpiece, box or pallet that moves through the plant.
    #[n(12)]
    Workpiece,
}

/// One thing, as the record holds it.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Thing {
    /// Where it stands in the plant tree.
    #[n(0)]
    pub path: ThingPath,
    /// Its level.
    #[n(1)]
    pub level: Level,
    /// Its class.
    #[n(2)]
    pub class: Class,
    /// The tags that drive how it looks.
    #[n(3)]
    pub bindings: Vec<Binding>,
}

impl Thing {
    /// Whether people may take it in hand and carry it about: a box, a pallet or a part that no device moves.
    pub fn is_carried_by_hand(&self) -> bool {
        self.class == Class::Workpiece && self.bindings.is_empty()
    }
}
