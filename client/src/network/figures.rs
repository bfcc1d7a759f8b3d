//! The counters of the link as rates, and their last half minute as curves. Time and counters are passed in.

use std::collections::VecDeque;
use std::time::Duration;

use gemba_net::{LineStats, LinkStats};
use serde_json::{Value, json};

use super::lateness::Lateness;

/// Points of a curve: half a minute of two a second.
const POINTS: usize = 60;

/// The counters as they stand.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    pub(super) line: LineStats,
    pub(super) lanes: LinkStats,
}

/// What a lane carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Record,
    Telemetry,
    Past,
    Pose,
    Blob,
}

impl Lane {
    pub(super) const ALL: [Lane; 5] = [Lane::Record, Lane::Telemetry, Lane::Past, Lane::Pose, Lane::Blob];

    pub(super) fn name(self) -> &'static str {
        match self {
            Lane::Record => "record",
            Lane::Telemetry => "telemetry",
            Lane::Past => "past",
            Lane::Pose => "poses",
            Lane::Blob => "files",
        }
    }

    /// Bytes from the host and to it so far. Only records and poses have words of their own for the host.
    fn bytes(self, lanes: &LinkStats) -> [u64; 2] {
        match self {
            Lane::Record => [lanes.control_bytes, lanes.control_bytes_sent],
            Lane::Telemetry => [lanes.telemetry_bytes, 0],
            Lane::Past => [lanes.recall_bytes, 0],
            Lane::Pose => [lanes.pose_bytes, lanes.pose_bytes_sent],
            Lane::Blob => [lanes.blob_bytes, 0],
        }
    }
}

/// Rates between the last readings.
#[derive(Debug, Default)]
pub(super) struct Figures {
    newest: Option<(Duration, Reading)>,
    /// Bytes a second, down and up, of each lane.
    lanes: [[VecDeque<f32>; 2]; 5],
    /// Bytes a second on the wire, down and up.
    wire: [VecDeque<f32>; 2],
    /// Round trip, ms.
    rtt: VecDeque<f32>,
    /// Packets sent, and those of them lost, between readings.
    losses: VecDeque<(u64, u64)>,
}

impl Figures {
    /// The counters at `now`.
    pub(super) fn note(&mut self, now: Duration, reading: Reading) {
        let Some((then, before)) = self.newest.replace((now, reading.clone())) else { return };
        let secs = now.saturating_sub(then).as_secs_f32().max(1e-3);
        // Counters of a new session begin anew.
        let rate = |new: u64, old: u64| new.saturating_sub(old) as f32 / secs;
        for (lane, curves) in Lane::ALL.into_iter().zip(&mut self.lanes) {
            let (new, old) = (lane.bytes(&reading.lanes), lane.bytes(&before.lanes));
            curves.iter_mut().enumerate().for_each(|(way, curve)| push(curve, rate(new[way], old[way])));
        }
        let (new, old) = (&reading.line, &before.line);
        push(&mut self.wire[0], rate(new.bytes_received, old.bytes_received));
        push(&mut self.wire[1], rate(new.bytes_sent, old.bytes_sent));
        push(&mut self.rtt, new.rtt.as_secs_f32() * 1000.0);
        let sent = new.packets_sent.saturating_sub(old.packets_sent);
        push(&mut self.losses, (sent, new.packets_lost.saturating_sub(old.packets_lost)));
    }

    /// The counters as they stood last.
    pub(super) fn newest(&self) -> Option<&Reading> {
        self.newest.as_ref().map(|(_, reading)| reading)
    }

    /// Bytes a second of a lane, down or up.
    pub(super) fn lane(&self, lane: Lane, way: usize) -> &VecDeque<f32> {
        &self.lanes[lane as usize][way]
    }

    /// Bytes a second on the wire, down or up.
    pub(super) fn wire(&self, way: usize) -> &VecDeque<f32> {
        &self.wire[way]
    }

    /// Round trips, ms.
    pub(super) fn rtt(&self) -> &VecDeque<f32> {
        &self.rtt
    }

    /// Share of the packets to the host that got lost in the last half minute; none where too few were sent to say.
    pub(super) fn loss(&self) -> Option<f64> {
        let (sent, lost) = self.losses.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        (sent >= 100).then(|| lost as f64 / sent as f64)
    }

    /// For the report of the run.
    pub(super) fn report(&self, lateness: &Lateness, people_behind: Duration, plant_behind: Duration) -> Value {
        let Some(Reading { line, lanes }) = self.newest() else { return Value::Null };
        let way = |way: usize| {
            let bytes = Lane::ALL.map(|lane| (lane.name().to_owned(), json!(lane.bytes(lanes)[way])));
            bytes.into_iter().collect::<serde_json::Map<_, _>>()
        };
        json!({
            "host": line.host.as_ref().map(ToString::to_string),
            "rtt_ms": line.rtt.as_secs_f64() * 1000.0,
            "loss_up": self.loss(),
            "window_bytes": line.window_bytes,
            "wire_bytes": {"down": line.bytes_received, "up": line.bytes_sent},
            "lane_bytes": {"down": way(0), "up": way(1)},
            "packets": {"sent": line.packets_sent, "lost": line.packets_lost},
            "dropped": {"poses_not_polled": lanes.poses_dropped, "packets_unread": lanes.packets_unread},
            "sessions_lost": lanes.sessions_lost,
            "behind_ms": {"people": people_behind.as_millis() as u64, "plant": plant_behind.as_millis() as u64},
            "pose_age_ms": {"p50": lateness.age_ms(0.5), "p99": lateness.age_ms(0.99)},
            "poses_late": lateness.late(people_behind),
        })
    }
}

fn push<T>(curve: &mut VecDeque<T>, point: T) {
    if curve.len() == POINTS {
        curve.pop_front();
    }
    curve.push_back(point);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(seconds: u64) -> Reading {
        let lanes = LinkStats { telemetry_bytes: seconds * 5000, pose_bytes_sent: seconds * 80, ..Default::default() };
        let line = LineStats { packets_sent: seconds * 100, packets_lost: seconds * 2, ..Default::default() };
        Reading { line, lanes }
    }

    #[test]
    fn counters_become_rates_and_a_curve_is_no_longer_than_half_a_minute() {
        let mut figures = Figures::default();
        (0..200).for_each(|n| figures.note(Duration::from_secs(n), reading(n)));
        assert_eq!(figures.lane(Lane::Telemetry, 0).len(), POINTS);
        assert!(figures.lane(Lane::Telemetry, 0).iter().all(|rate| (rate - 5000.0).abs() < 1.0));
        assert!((figures.lane(Lane::Pose, 1)[0] - 80.0).abs() < 0.1);
        assert!((figures.loss().unwrap() - 0.02).abs() < 1e-9);
    }

    #[test]
    fn a_new_session_whose_counters_begin_anew_shows_no_nonsense() {
        let mut figures = Figures::default();
        figures.note(Duration::from_secs(1), reading(1000));
        figures.note(Duration::from_secs(2), reading(3));
        assert_eq!(figures.lane(Lane::Telemetry, 0).back(), Some(&0.0));
        assert_eq!(figures.loss(), None);
    }
}
