//! Instants as people write them (RFC 3339, UTC).

use gemba_twin::sample::Timestamp;
use jiff::Timestamp as Instant;

/// An instant such as `2026-11-21T08:00:00Z`.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    let instant: Instant =
        text.parse().map_err(|e| format!("{e}; write an instant as 2026-11-21T08:00:00Z or ...+09:00"))?;
    Ok(Timestamp(instant.as_microsecond()))
}

/// The instant to the second.
pub(crate) fn text(instant: Timestamp) -> String {
    match Instant::from_microsecond(instant.0) {
        Ok(instant) => instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) => format!("{} us", instant.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_survives_its_text() {
        let noon = parse("2026-11-21T12:00:00Z").unwrap();
        assert_eq!(text(noon), "2026-11-21T12:00:00Z");
        assert_eq!(parse("2026-11-21T21:00:00+09:00"), Ok(noon));
        assert!(parse("noon").is_err());
        assert_eq!(text(Timestamp(i64::MAX)), format!("{} us", i64::MAX));
    }
}
