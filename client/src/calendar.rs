//! Instants as people read and write them: UTC, in the calendar everyone uses. No time zones of places, no leap seconds,
//! as in the Unix time that samples carry.

use gemba_twin::sample::Timestamp;

const DAY_SECS: i64 = 24 * 60 * 60;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// An instant taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Civil {
    year: i64,
    /// 1 to 12.
    month: usize,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
}

impl Civil {
    /// After Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`: years begin in March, so
    /// that the day that leap years add is their last.
    fn of(at: Timestamp) -> Self {
        let secs = at.0.div_euclid(1_000_000);
        let (days, second) = (secs.div_euclid(DAY_SECS) + 719_468, secs.rem_euclid(DAY_SECS));
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: month as usize,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
            micros: at.0.rem_euclid(1_000_000),
        }
    }

    /// The other way, `days_from_civil`; the caller has checked the ranges.
    fn instant(self) -> Timestamp {
        let year = self.year - i64::from(self.month <= 2);
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let shifted_month = (self.month as i64 + 9) % 12;
        let day_of_year = (153 * shifted_month + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        let secs = days * DAY_SECS + self.hour * 3600 + self.minute * 60 + self.second;
        Timestamp(secs * 1_000_000 + self.micros)
    }

    /// The month's name; there is none of an instant that no calendar reaches.
    fn month_name(self) -> &'static str {
        MONTHS.get(self.month.wrapping_sub(1)).copied().unwrap_or("?")
    }
}

/// `21 Nov 01:12:07`
pub fn date_and_time(at: Timestamp) -> String {
    format!("{} {}", date(at), time(at))
}

/// `21 Nov`
pub fn date(at: Timestamp) -> String {
    let civil = Civil::of(at);
    format!("{} {}", civil.day, civil.month_name())
}

/// `01:12:07`
pub fn time(at: Timestamp) -> String {
    let civil = Civil::of(at);
    format!("{:02}:{:02}:{:02}", civil.hour, civil.minute, civil.second)
}

/// `01:12`
pub fn minutes(at: Timestamp) -> String {
    let civil = Civil::of(at);
    format!("{:02}:{:02}", civil.hour, civil.minute)
}

/// RFC 3339, to the microsecond: `2026-11-21T01:12:07.000000Z`.
pub fn rfc3339(at: Timestamp) -> String {
    let Civil { year, month, day, hour, minute, second, micros } = Civil::of(at);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Reads RFC 3339: date, `T` or a space, time, perhaps a fraction, and an offset from UTC.
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (time, rest) = rest.split_at_checked(8)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let in_range = (1..=12).contains(&month) && day >= 1 && hour < 24 && minute < 60 && second < 60;
    let (micros, rest) = fraction(rest)?;
    let civil = Civil { year, month: month as usize, day, hour, minute, second, micros };
    let at = Some(civil.instant()).filter(|at| in_range && Civil::of(*at) == civil)?;
    Some(at.plus_micros(-offset_secs(rest)? * 1_000_000))
}

fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(between);
    let mut all = [0; 3];
    for (number, digits) in all.iter_mut().zip(digits) {
        let part = parts.next().filter(|p| p.len() == digits && p.bytes().all(|b| b.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(all)
}

/// Microseconds of a fraction, if there is one, and what follows it.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, text)) };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let micros: String = rest[..digits].chars().chain("000000".chars()).take(6).collect();
    (digits > 0).then_some(())?;
    Some((micros.parse().ok()?, &rest[digits..]))
}

fn offset_secs(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = text.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    let two =
        |part: &str| part.parse::<i64>().ok().filter(|_| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()));
    let secs = two(hours).filter(|h| *h < 24)? * 3600 + two(minutes).filter(|m| *m < 60)? * 60;
    match sign {
        "+" => Some(secs),
        "-" => Some(-secs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_read_back_as_it_was_written_in_any_year() {
        // Every 40 days and a bit from the year 1600 to 2400: leap years of both kinds are among them.
        for step in 0..7000 {
            let at = Timestamp((-11_676_096_000 + step * 3_456_789) * 1_000_000 + step);
            assert_eq!(parse_rfc3339(&rfc3339(at)), Some(at), "{}", rfc3339(at));
        }
        assert_eq!(rfc3339(Timestamp(0)), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339(Timestamp(1_795_215_323_250_999)), "2026-11-20T22:55:23.250999Z");
    }

    #[test]
    fn an_offset_is_taken_into_account_and_nonsense_is_refused() {
        let at = parse_rfc3339("2026-11-21T02:12:07+01:00").unwrap();
        assert_eq!(rfc3339(at), "2026-11-21T01:12:07.000000Z");
        assert_eq!(parse_rfc3339("2026-11-21 01:12:07.5Z").unwrap().micros_since(at), 500_000);
        for bad in [
            "",
            "2026-11-21",
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T01:12:07",
            "2026-11-21T01:12:07.Z",
            "2026-11-21T01:12:07+1:00",
            "２026-11-21T01:12:07Z",
        ] {
            assert_eq!(parse_rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_date_reads_well() {
        let at = parse_rfc3339("2026-11-01T01:02:03Z").unwrap();
        assert_eq!((date_and_time(at), minutes(at)), ("1 Nov 01:02:03".to_owned(), "01:02".to_owned()));
        assert!(!date_and_time(Timestamp(i64::MIN)).is_empty() && !rfc3339(Timestamp(i64::MAX)).is_empty());
    }
}
