//! Times as the inspector shows them.

use gemba_twin::sample::Timestamp;

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// Time of day of an instant, UTC: `HH:MM:SS.mmm`.
pub(super) fn time_of_day(at: Timestamp) -> String {
    let millis = at.0.div_euclid(1000).rem_euclid(DAY_MILLIS);
    let (secs, millis) = (millis / 1000, millis % 1000);
    format!("{:02}:{:02}:{:02}.{millis:03}", secs / 3600, secs / 60 % 60, secs % 60)
}

/// An age in at most six characters: `0.1 s`, `45 s`, `12 min`, `30 h`, `9 d`. Clocks that disagree make none negative.
pub(super) fn age_words(secs: f64) -> String {
    match secs.max(0.0) {
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 2.0 * 3600.0 => format!("{:.0} min", s / 60.0),
        s if s < 48.0 * 3600.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} d", (s / 86_400.0).min(99_999.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_is_utc_to_the_millisecond() {
        // 2026-11-20 22:55:23.250 UTC
        assert_eq!(time_of_day(Timestamp(1_795_215_323_250_999)), "22:55:23.250");
        assert_eq!(time_of_day(Timestamp(0)), "00:00:00.000");
        assert_eq!(time_of_day(Timestamp(-1)), "23:59:59.999");
    }

    #[test]
    fn an_age_is_short_at_any_size() {
        let words = [-3.0, 0.12, 9.9, 45.4, 119.0, 3600.0, 1e5, 1e6].map(age_words);
        assert_eq!(words, ["0.0 s", "0.1 s", "9.9 s", "45 s", "119 s", "60 min", "28 h", "12 d"]);
        assert!(age_words(f64::INFINITY).len() < 10);
    }
}
