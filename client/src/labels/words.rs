//! The one value that says most about a machine of each class, in as few characters as will do.

use gemba_twin::layout::tags;
use gemba_twin::thing::{Class, Level, Thing};

use crate::readings::Readings;
use crate::site::{Site, ThingIndex};

/// The tag whose value stands on the label of a thing.
pub(super) fn key_tag(thing: &Thing) -> Option<&'static str> {
    match (thing.class, thing.level) {
        (Class::Tank, _) => Some(tags::LEVEL),
        (Class::Cnc, _) => Some(tags::SPINDLE_LOAD),
        (Class::Conveyor, _) => Some(tags::SPEED),
        (Class::Valve, _) => Some(tags::POSITION),
        (Class::Pump, _) => Some(tags::PRESSURE),
        (Class::Amr, _) => Some(tags::BATTERY),
        (_, Level::Line) => Some(tags::OEE[0]),
        _ => None,
    }
}

/// The key value of a thing; `–` when nobody knows it now, nothing when the thing has none.
pub(crate) fn key_value(site: &Site, readings: &Readings, index: ThingIndex) -> Option<String> {
    let id = site.tag_named(index, key_tag(site.thing(index)?)?)?;
    let unit = site.tag(id)?.unit.symbol();
    let number = readings.number(id).filter(|_| !readings.is_stale());
    Some(number.map_or_else(|| "–".to_owned(), |number| value_words(number, unit)))
}

/// Percent without decimals, the rest with as many as fit three digits or so.
fn value_words(number: f64, unit: &str) -> String {
    let decimals = match (unit, number.abs()) {
        ("%", _) => 0,
        (_, n) if n >= 99.95 => 0,
        (_, n) if n >= 9.995 => 1,
        _ => 2,
    };
    // No "-0": adding zero turns it into zero.
    let step = 10f64.powi(decimals);
    let number = (number * step).round() / step + 0.0;
    let decimals = decimals as usize;
    if unit.is_empty() { format!("{number:.decimals$}") } else { format!("{number:.decimals$} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_twin::path::TagId;
    use gemba_twin::sample::{Quality, Sample, Timestamp, Value, ValueKind};
    use gemba_twin::tag::{Tag, Unit};

    #[test]
    fn values_are_short() {
        let words = [(63.4, "%"), (-0.001, "m/s"), (0.3, "m/s"), (21.53, "°C"), (1480.2, "1/min"), (7.0, "")]
            .map(|(number, unit)| value_words(number, unit));
        assert_eq!(words, ["63 %", "0.00 m/s", "0.30 m/s", "21.5 °C", "1480 1/min", "7.00"]);
    }

    #[test]
    fn a_bad_or_stale_value_is_a_dash_and_never_the_last_number() {
        let mut site = Site::default();
        let path = "Tank1";
        site.set_things(vec![Thing {
            path: path.parse().unwrap(),
            level: Level::Unit,
            class: Class::Tank,
            bindings: Vec::new(),
        }]);
        site.set_tags(vec![Tag {
            path: "Tank1/Level".parse().unwrap(),
            kind: ValueKind::Float,
            unit: Unit::new("%"),
            range: None,
            writable: false,
        }]);
        let mut readings = Readings::default();
        let words = |readings: &Readings| key_value(&site, readings, ThingIndex(0)).unwrap();
        assert_eq!(words(&readings), "–");
        let sample = |quality, at| Sample {
            value: Some(Value::Float(63.0)),
            quality,
            source_time: Timestamp(at),
            server_time: Timestamp(at),
        };
        readings.apply(TagId(0), sample(Quality::Good, 1));
        assert_eq!(words(&readings), "63 %");
        readings.set_lost(true);
        assert_eq!(words(&readings), "–");
        readings.set_lost(false);
        readings.apply(TagId(0), sample(Quality::Bad, 2));
        assert_eq!(words(&readings), "–");
    }
}
