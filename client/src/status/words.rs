//! What the bars say of the connection, in words; no drawing.

use std::time::Duration;

use gemba_net::LinkState;
use gemba_twin::sample::Timestamp;

use crate::calendar;

/// How much a person should look at the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// All is well, or there is nothing to be well.
    Calm,
    /// It is on its way.
    Wait,
    /// What is shown is past, because someone wants to see it.
    Past,
    /// What is shown is old.
    Warning,
    /// It will not come back by itself.
    Alarm,
}

/// The connection in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    /// A mark that needs no colour.
    pub(super) mark: &'static str,
    /// One short sentence.
    pub(super) text: String,
    /// How much a person should look.
    pub(super) urgency: Urgency,
}

impl Words {
    /// The same while the instant `past` is shown; a lost host remains the news.
    pub(super) fn at(self, past: Option<Timestamp>) -> Self {
        match past {
            Some(instant) if self.urgency == Urgency::Calm => {
                let text = format!("NOT LIVE, showing {} UTC", calendar::date_and_time(instant));
                Words { mark: "◀", text, urgency: Urgency::Past }
            }
            _ => self,
        }
    }
}

/// What there is to say. `waited` is how long the state has been so.
pub(super) fn connection_words(
    state: Option<&LinkState>,
    was_connected: bool,
    broken: bool,
    waited: Duration,
) -> Words {
    let words = |mark, text: &str, urgency| Words { mark, text: text.to_owned(), urgency };
    if broken {
        return words("✖", "the site's record is forged or broken: nothing more is taken in", Urgency::Alarm);
    }
    match state {
        None => words("○", "file, no live data", Urgency::Calm),
        Some(LinkState::Connected) => words("●", "live", Urgency::Calm),
        Some(LinkState::Connecting { .. }) if !was_connected => words("○", "connecting…", Urgency::Wait),
        Some(LinkState::Connecting { attempt }) => {
            words("○", &format!("host lost, attempt {attempt} to reach it: everything is stale"), Urgency::Warning)
        }
        Some(LinkState::Lost { why, retry_in }) => {
            let retry = retry_words(retry_in.saturating_sub(waited));
            let text = if was_connected {
                format!("host lost, {retry}: everything is stale")
            } else {
                format!("no host yet ({why}), {retry}")
            };
            words("○", &text, Urgency::Warning)
        }
        Some(LinkState::Refused { why }) => words("✖", why, Urgency::Alarm),
    }
}

fn retry_words(left: Duration) -> String {
    match left.as_secs_f64().ceil() as u64 {
        0 => "retrying".to_owned(),
        secs => format!("retrying in {secs} s"),
    }
}

/// A count a person can read at a glance: `950`, `12.3k`, `1.2M`.
pub(super) fn short_count(count: f64) -> String {
    match count {
        c if c >= 1e6 => format!("{:.1}M", c / 1e6),
        c if c >= 1e4 => format!("{:.1}k", c / 1e3),
        c => format!("{c:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_host_counts_down_and_calls_everything_stale() {
        let lost = LinkState::Lost { why: "timed out".to_owned(), retry_in: Duration::from_secs(2) };
        let at = |millis| connection_words(Some(&lost), true, false, Duration::from_millis(millis)).text;
        assert_eq!(at(0), "host lost, retrying in 2 s: everything is stale");
        assert_eq!(at(1500), "host lost, retrying in 1 s: everything is stale");
        assert_eq!(at(9000), "host lost, retrying: everything is stale");
    }

    #[test]
    fn only_a_connected_host_is_called_live() {
        let words = |state: Option<LinkState>| connection_words(state.as_ref(), true, false, Duration::ZERO);
        assert_eq!(words(Some(LinkState::Connected)).text, "live");
        for state in [
            None,
            Some(LinkState::Connecting { attempt: 1 }),
            Some(LinkState::Refused { why: "wrong key".to_owned() }),
            Some(LinkState::Lost { why: "gone".to_owned(), retry_in: Duration::ZERO }),
        ] {
            assert_ne!(words(state).text, "live");
        }
        assert_eq!(
            connection_words(Some(&LinkState::Connected), true, true, Duration::ZERO).urgency,
            Urgency::Alarm,
            "a forged record is never live"
        );
    }

    #[test]
    fn the_past_is_never_called_live_and_hides_no_alarm() {
        let words = |state| connection_words(Some(&state), true, false, Duration::ZERO).at(Some(Timestamp(0)));
        let past = words(LinkState::Connected);
        assert_eq!((past.text.as_str(), past.urgency), ("NOT LIVE, showing 1 Jan 00:00:00 UTC", Urgency::Past));
        assert_eq!(words(LinkState::Refused { why: "wrong key".to_owned() }).urgency, Urgency::Alarm);
    }

    #[test]
    fn counts_stay_short() {
        assert_eq!([0.4, 950.0, 12_345.0, 1_234_567.0].map(short_count), ["0", "950", "12.3k", "1.2M"]);
    }
}
