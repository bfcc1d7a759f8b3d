//! The simulator's tags and what they read now. Every machine tells all its values in one function, which runs once to
//! declare the tags and then after every step to set them: a name and its value cannot drift apart.

use gemba_twin::layout::tags;
use gemba_twin::machine_state::MachineState;
use gemba_twin::path::ThingPath;
use gemba_twin::sample::{Quality, Value};
use gemba_twin::tag::{Range, Tag, Unit};

/// What a tag reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The value as the sensor shows it; meaningless when the quality is bad.
    pub value: Value,
    /// Bad while the sensor's machine is out of order in a way that takes the sensor with it.
    pub quality: Quality,
}

/// A quantity's unit, range and the smallest difference its sensor shows. Rounding is what sensors do, and it keeps
/// noise far below anything that matters from being sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gauge {
    pub(super) unit: &'static str,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) resolution: f64,
}

impl Gauge {
    /// The value as the gauge shows it. Divided rather than multiplied, so that 0.94 is the nearest number to 0.94.
    fn shown(&self, value: f64) -> Value {
        let per_unit = (1.0 / self.resolution).round();
        Value::Float((value * per_unit).round() / per_unit)
    }
}

/// A gauge of this unit, range and resolution.
pub(super) const fn gauge(unit: &'static str, low: f64, high: f64, resolution: f64) -> Gauge {
    Gauge { unit, low, high, resolution }
}

/// All tags of a plant, in a fixed order, and their readings.
#[derive(Debug, Clone, Default)]
pub(super) struct TagTable {
    tags: Vec<Tag>,
    readings: Vec<Reading>,
    next: usize,
    declared: bool,
    thing: Option<ThingPath>,
}

impl TagTable {
    pub(super) fn tags(&self) -> &[Tag] {
        &self.tags
    }

    pub(super) fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// Begins a round of telling: everything is told again in the same order.
    pub(super) fn begin(&mut self) {
        self.next = 0;
    }

    /// Ends it. After the first the tags are fixed.
    pub(super) fn end(&mut self) {
        assert_eq!(self.next, self.tags.len(), "every round tells the same tags");
        self.declared = true;
    }

    /// The values that follow are of this part of `line`.
    pub(super) fn thing(&mut self, line: &ThingPath, part: &str) {
        if !self.declared {
            let path = if part.is_empty() { Ok(line.clone()) } else { line.child(part) };
            self.thing = Some(path.expect("machines' names are made of letters, digits and single slashes"));
        }
    }

    pub(super) fn quantity(&mut self, name: &str, value: f64, gauge: Gauge) {
        self.quantity_of(name, value, gauge, Quality::Good);
    }

    pub(super) fn quantity_of(&mut self, name: &str, value: f64, gauge: Gauge, quality: Quality) {
        self.tell(name, gauge.shown(value), quality, gauge.unit, Range::new(gauge.low, gauge.high), false);
    }

    /// A quantity that takes commands.
    pub(super) fn command(&mut self, name: &str, value: f64, gauge: Gauge) {
        self.tell(name, gauge.shown(value), Quality::Good, gauge.unit, Range::new(gauge.low, gauge.high), true);
    }

    pub(super) fn count(&mut self, name: &str, value: u64) {
        self.tell(name, Value::Int(i64::try_from(value).unwrap_or(i64::MAX)), Quality::Good, "", None, false);
    }

    /// A number that names a state.
    pub(super) fn code(&mut self, name: &str, code: i64, highest: i64) {
        self.tell(name, Value::Int(code), Quality::Good, "", Range::new(0.0, highest as f64), false);
    }

    pub(super) fn switch(&mut self, name: &str, on: bool) {
        self.tell(name, Value::Bool(on), Quality::Good, "", None, false);
    }

    fn tell(&mut self, name: &str, value: Value, quality: Quality, unit: &str, range: Option<Range>, writable: bool) {
        if self.declared {
            let reading = &mut self.readings[self.next];
            (reading.value, reading.quality) = (value, quality);
        } else {
            let thing = self.thing.as_ref().expect("a thing is named before its values");
            let path = thing.tag(name).expect("tags' names are made of letters and digits");
            self.tags.push(Tag { path, kind: value.kind(), unit: Unit::new(unit), range, writable });
            self.readings.push(Reading { value, quality });
        }
        self.next += 1;
    }
}

/// Tells what a machine is doing.
pub(super) fn state(table: &mut TagTable, state: MachineState) {
    table.code(tags::STATE, state as i64, MachineState::Faulted as i64);
}

/// Tells the lamps of the stack light of `machine`: red when it is out of order, green while it runs, amber otherwise.
pub(super) fn stack_light(table: &mut TagTable, line: &ThingPath, machine: &str, state: MachineState) {
    table.thing(line, &format!("{machine}/StackLight"));
    let lit = match state {
        MachineState::Faulted => 0,
        MachineState::Running => 2,
        _ => 1,
    };
    for (lamp, name) in tags::LAMPS.iter().enumerate() {
        table.switch(name, lamp == lit);
    }
}
