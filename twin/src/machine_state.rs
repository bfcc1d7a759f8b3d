//! What a machine is doing. The states that OEE and a person on the floor need, after PackML (ISA-TR88.00.02),
//! with starved and blocked told apart because the cause lies on different sides of the machine.

use crate::sample::Value;

/// State of a machine; the numbers are what the `State` tag of a machine carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MachineState {
    /// Not started.
    Stopped = 0,
    /// Ready, nothing to do.
    Idle = 1,
    /// Making something.
    Running = 2,
    /// Waits for material from before it.
    Starved = 3,
    /// Waits for room after it.
    Blocked = 4,
    /// Out of order until someone mends it.
    Faulted = 5,
}

impl MachineState {
    /// All states, by number.
    pub const ALL: [MachineState; 6] = [
        MachineState::Stopped,
        MachineState::Idle,
        MachineState::Running,
        MachineState::Starved,
        MachineState::Blocked,
        MachineState::Faulted,
    ];

    /// The state a `State` tag's value means; none when the number is no state.
    pub fn from_value(value: &Value) -> Option<Self> {
        let number = match value {
            Value::Int(i) => *i,
            _ => return None,
        };
        usize::try_from(number).ok().and_then(|n| Self::ALL.get(n).copied())
    }

    /// What a person reads.
    pub fn label(self) -> &'static str {
        match self {
            MachineState::Stopped => "stopped",
            MachineState::Idle => "idle",
            MachineState::Running => "running",
            MachineState::Starved => "starved",
            MachineState::Blocked => "blocked",
            MachineState::Faulted => "faulted",
        }
    }

    /// A mark that tells the states apart without colour (ISA-101: colour is never the only cue).
    pub fn mark(self) -> &'static str {
        match self {
            MachineState::Stopped => "■",
            MachineState::Idle => "□",
            MachineState::Running => "▶",
            MachineState::Starved => "◁",
            MachineState::Blocked => "▷",
            MachineState::Faulted => "✖",
        }
    }

    /// Whether a person should look here: ISA-101 keeps colour for this.
    pub fn is_abnormal(self) -> bool {
        self == MachineState::Faulted
    }
}
