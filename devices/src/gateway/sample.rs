//! OPC UA values as samples and back: plain functions, no sockets, no clock.

use gemba_twin::limits::TEXT_BYTES;
use gemba_twin::sample::{Quality, Sample, Timestamp, Value, ValueKind};
use opcua::types::{DataTypeId, DataValue, DateTime, NodeId, StatusCode, UAString, Variant};

/// The sample in a notification that arrived at `now` on the gateway's clock. A status of good severity without a value
/// that can be held is bad: nothing usable came. A text over [`TEXT_BYTES`] is cut and uncertain.
pub fn sample_from_data_value(value: DataValue, now: Timestamp) -> Sample {
    let status = value.status();
    let source_time = [value.source_timestamp, value.server_timestamp]
        .into_iter()
        .flatten()
        .find(|time| !time.is_null())
        .map_or(now, |time| timestamp_from_date_time(&time));
    let mut quality = quality_from_status(status);
    let held = value.value.as_ref().and_then(value_from_variant);
    if held.is_none() {
        quality = Quality::Bad;
    }
    let held = held.map(|held| match held {
        Value::Text(text) if text.len() > TEXT_BYTES => {
            quality = quality.max(Quality::Uncertain);
            Value::Text(text[..text.floor_char_boundary(TEXT_BYTES)].to_owned())
        }
        other => other,
    });
    Sample { value: held, quality, source_time, server_time: now }
}

/// The severity of a status code (OPC UA Part 4, 7.39: the top two bits).
pub fn quality_from_status(status: StatusCode) -> Quality {
    if status.is_good() {
        Quality::Good
    } else if status.is_uncertain() {
        Quality::Uncertain
    } else {
        Quality::Bad
    }
}

/// The value of a scalar; none for what a sample cannot hold: arrays, structures, numbers that are not finite, and
/// unsigned numbers above the largest signed one.
pub fn value_from_variant(variant: &Variant) -> Option<Value> {
    Some(match variant {
        Variant::Boolean(b) => Value::Bool(*b),
        Variant::SByte(i) => Value::Int((*i).into()),
        Variant::Byte(i) => Value::Int((*i).into()),
        Variant::Int16(i) => Value::Int((*i).into()),
        Variant::UInt16(i) => Value::Int((*i).into()),
        Variant::Int32(i) => Value::Int((*i).into()),
        Variant::UInt32(i) => Value::Int((*i).into()),
        Variant::Int64(i) => Value::Int(*i),
        Variant::UInt64(i) => Value::Int(i64::try_from(*i).ok()?),
        Variant::Float(v) if v.is_finite() => Value::Float((*v).into()),
        Variant::Double(v) if v.is_finite() => Value::Float(*v),
        Variant::String(text) => Value::Text(text.as_ref().to_owned()),
        Variant::LocalizedText(text) => Value::Text(text.text.as_ref().to_owned()),
        _ => return None,
    })
}

/// The instant a server's time means; OPC UA counts 100 ns from 1601.
pub fn timestamp_from_date_time(time: &DateTime) -> Timestamp {
    Timestamp(time.as_chrono().timestamp_micros())
}

/// What kind of values a variable of this data type has; none for what a sample cannot hold, and for abstract types,
/// whose values alone tell.
pub fn kind_from_data_type(data_type: &NodeId) -> Option<ValueKind> {
    Some(match data_type.as_data_type_id().ok()? {
        DataTypeId::Boolean => ValueKind::Bool,
        DataTypeId::SByte
        | DataTypeId::Byte
        | DataTypeId::Int16
        | DataTypeId::UInt16
        | DataTypeId::Int32
        | DataTypeId::UInt32
        | DataTypeId::Int64
        | DataTypeId::UInt64
        | DataTypeId::Integer
        | DataTypeId::UInteger
        | DataTypeId::Enumeration => ValueKind::Int,
        DataTypeId::Float | DataTypeId::Double | DataTypeId::Duration => ValueKind::Float,
        DataTypeId::String | DataTypeId::LocalizedText => ValueKind::Text,
        _ => return None,
    })
}

/// `value` as a variable of `data_type` takes it: numbers become the server's own width if they fit; none when the
/// value is not of that type.
pub fn variant_from_value(value: &Value, data_type: &NodeId) -> Option<Variant> {
    let data_type = data_type.as_data_type_id().ok()?;
    let whole = match value {
        Value::Int(i) => Some(*i),
        Value::Float(v) if v.fract() == 0.0 && v.abs() < 2f64.powi(53) => Some(*v as i64),
        _ => None,
    };
    let real = match value {
        Value::Int(i) => Some(*i as f64),
        Value::Float(v) => v.is_finite().then_some(*v),
        _ => None,
    };
    Some(match (data_type, value) {
        (DataTypeId::Boolean, Value::Bool(b)) => Variant::Boolean(*b),
        (DataTypeId::SByte, _) => Variant::SByte(whole?.try_into().ok()?),
        (DataTypeId::Byte, _) => Variant::Byte(whole?.try_into().ok()?),
        (DataTypeId::Int16, _) => Variant::Int16(whole?.try_into().ok()?),
        (DataTypeId::UInt16, _) => Variant::UInt16(whole?.try_into().ok()?),
        (DataTypeId::Int32 | DataTypeId::Enumeration, _) => Variant::Int32(whole?.try_into().ok()?),
        (DataTypeId::UInt32, _) => Variant::UInt32(whole?.try_into().ok()?),
        (DataTypeId::Int64, _) => Variant::Int64(whole?),
        (DataTypeId::UInt64, _) => Variant::UInt64(whole?.try_into().ok()?),
        (DataTypeId::Float, _) => Variant::Float(Some(real? as f32).filter(|v| v.is_finite())?),
        (DataTypeId::Double | DataTypeId::Duration, _) => Variant::Double(real?),
        (DataTypeId::String, Value::Text(text)) => Variant::String(UAString::from(text.as_str())),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use opcua::types::{DateTime, Variant};

    const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

    #[test]
    fn the_severity_of_a_status_becomes_the_quality() {
        for (status, quality) in [
            (StatusCode::Good, Quality::Good),
            (StatusCode::GoodClamped, Quality::Good),
            (StatusCode::UncertainSensorNotAccurate, Quality::Uncertain),
            (StatusCode::BadDeviceFailure, Quality::Bad),
            (StatusCode::from(0xC000_0000), Quality::Bad),
        ] {
            assert_eq!(quality_from_status(status), quality, "{status}");
        }
    }

    #[test]
    fn a_sample_keeps_the_devices_time_to_the_microsecond() {
        let time = DateTime::ymd_hms_nano(2026, 3, 4, 5, 6, 7, 123_456_000);
        let sample = sample_from_data_value(DataValue::new_at(4.5, time), NOW);
        assert_eq!(sample.value, Some(Value::Float(4.5)));
        assert_eq!(sample.quality, Quality::Good);
        assert_eq!(sample.source_time.0 % 1_000_000, 123_456);
        assert_eq!(sample.server_time, NOW);
    }

    #[test]
    fn a_value_without_a_time_is_as_old_as_its_arrival() {
        let sample = sample_from_data_value(DataValue::value_only(1i32), NOW);
        assert_eq!(sample.source_time, NOW);
    }

    #[test]
    fn what_a_sample_cannot_hold_is_bad_even_if_the_server_calls_it_good() {
        for variant in [Variant::Empty, Variant::Double(f64::NAN), Variant::UInt64(u64::MAX), vec![1i32, 2].into()] {
            let sample = sample_from_data_value(DataValue::value_only(variant), NOW);
            assert_eq!((sample.value, sample.quality), (None, Quality::Bad));
        }
    }

    #[test]
    fn a_text_too_long_is_cut_at_a_character_and_uncertain() {
        let sample = sample_from_data_value(DataValue::value_only("ä".repeat(TEXT_BYTES)), NOW);
        assert_eq!(sample.quality, Quality::Uncertain);
        assert!(matches!(sample.value, Some(Value::Text(t)) if t.len() == TEXT_BYTES && t.ends_with('ä')));
    }

    #[test]
    fn a_command_takes_the_width_of_the_servers_type_or_is_refused() {
        let to = |value: Value, id: DataTypeId| variant_from_value(&value, &id.into());
        assert_eq!(to(Value::Float(7.0), DataTypeId::Int16), Some(Variant::Int16(7)));
        assert_eq!(to(Value::Int(7), DataTypeId::Double), Some(Variant::Double(7.0)));
        assert_eq!(to(Value::Int(300), DataTypeId::Byte), None);
        assert_eq!(to(Value::Float(f64::INFINITY), DataTypeId::Double), None);
        assert_eq!(to(Value::Float(1e300), DataTypeId::Float), None);
        assert_eq!(to(Value::Text("x".into()), DataTypeId::Double), None);
        assert_eq!(to(Value::Bool(true), DataTypeId::Boolean), Some(Variant::Boolean(true)));
    }
}
