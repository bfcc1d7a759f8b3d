//! What one way of a line does to packets, as values and as text for command lines and reports.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// What one way of a line does to packets. The default does nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conditions {
    /// Every packet's way.
    pub delay: Duration,
    /// At most this is added, each packet its own part. Order is kept, as routers keep it.
    pub jitter: Duration,
    /// Share of packets lost, each for itself; 0 to 1.
    pub loss: f64,
    /// Losses that come together, beside the single ones.
    pub bursts: Option<Bursts>,
    /// Share of packets that are held back so long that later ones overtake them; 0 to 1.
    pub reordered: f64,
    /// Share of packets that arrive twice; 0 to 1.
    pub duplicated: f64,
    /// What passes the bottleneck, bits a second.
    pub bandwidth: Option<u64>,
    /// Bytes that wait in front of the bottleneck; what comes on top is dropped.
    pub queue_bytes: usize,
}

/// Losses in bursts, by the model of Gilbert and Elliott: a line that is good for a while and then loses everything.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bursts {
    /// Share of all packets that are lost so; 0 to 1.
    pub share: f64,
    /// How many packets in a row on average.
    pub packets: f64,
}

impl Bursts {
    /// The probability that a burst begins at a packet, and that one ends: those of which the share of bad packets is
    /// [`Bursts::share`].
    pub(super) fn probabilities(&self) -> (f64, f64) {
        let leave = 1.0 / self.packets.max(1.0);
        let enter = if self.share >= 1.0 { 1.0 } else { leave * self.share / (1.0 - self.share) };
        (enter.min(1.0), leave)
    }
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            bursts: None,
            reordered: 0.0,
            duplicated: 0.0,
            bandwidth: None,
            // An eighth of a second at 4 Mbit/s: a small router's.
            queue_bytes: 64 << 10,
        }
    }
}

/// Text that names no conditions.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "'{0}' is no condition of a line; write as in delay=25ms,jitter=5ms,loss=1%,burst=0.5%x8,reorder=1%,\
     duplicate=1%,bandwidth=4Mbit,queue=64kB, leaving out what the line does not do"
)]
pub struct BadConditions(String);

impl FromStr for Conditions {
    type Err = BadConditions;

    fn from_str(text: &str) -> Result<Self, BadConditions> {
        let mut conditions = Conditions::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            conditions.take(part).ok_or_else(|| BadConditions(part.to_owned()))?;
        }
        Ok(conditions)
    }
}

impl Conditions {
    fn take(&mut self, part: &str) -> Option<()> {
        let (name, value) = part.split_once('=')?;
        match name {
            "delay" => self.delay = duration(value)?,
            "jitter" => self.jitter = duration(value)?,
            "loss" => self.loss = share(value)?,
            "burst" => {
                let (of_all, packets) = value.split_once('x')?;
                let packets = packets.parse().ok().filter(|packets| (1.0..=1e6).contains(packets))?;
                self.bursts = Some(Bursts { share: share(of_all)?, packets });
            }
            "reorder" => self.reordered = share(value)?,
            "duplicate" => self.duplicated = share(value)?,
            "bandwidth" => self.bandwidth = Some(bits(value)?),
            "queue" => self.queue_bytes = bytes(value)?,
            _ => return None,
        }
        Some(())
    }
}

/// At most an hour: longer is a partition.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) =
        text.strip_suffix("ms").map(|n| (n, 1e-3)).or_else(|| text.strip_suffix('s').map(|n| (n, 1.0)))?;
    let seconds = number.parse::<f64>().ok()? * unit;
    (0.0..=3600.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

fn share(text: &str) -> Option<f64> {
    let percent = text.strip_suffix('%')?.parse::<f64>().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

fn bits(text: &str) -> Option<u64> {
    let text = text.strip_suffix("bit")?;
    scaled(text).filter(|bits| (8e3..=1e12).contains(bits)).map(|bits| bits as u64)
}

fn bytes(text: &str) -> Option<usize> {
    let text = text.strip_suffix('B')?;
    scaled(text).filter(|bytes| (1500.0..=1e9).contains(bytes)).map(|bytes| bytes as usize)
}

fn scaled(text: &str) -> Option<f64> {
    let units = [('k', 1e3), ('M', 1e6), ('G', 1e9)];
    let found = units.iter().find_map(|(unit, factor)| text.strip_suffix(*unit).map(|number| (number, *factor)));
    let (number, factor) = found.unwrap_or((text, 1.0));
    Some(number.parse::<f64>().ok()? * factor)
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = vec![format!("delay={}ms", self.delay.as_secs_f64() * 1e3)];
        if !self.jitter.is_zero() {
            parts.push(format!("jitter={}ms", self.jitter.as_secs_f64() * 1e3));
        }
        let shares = [("loss", self.loss), ("reorder", self.reordered), ("duplicate", self.duplicated)];
        parts.extend(shares.iter().filter(|(_, s)| *s > 0.0).map(|(name, s)| format!("{name}={}%", s * 100.0)));
        if let Some(Bursts { share, packets }) = self.bursts {
            parts.push(format!("burst={}%x{packets}", share * 100.0));
        }
        if let Some(bits) = self.bandwidth {
            parts.push(format!("bandwidth={}Mbit,queue={}kB", bits as f64 / 1e6, self.queue_bytes as f64 / 1e3));
        }
        f.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_survive_their_text_form() {
        let text = "delay=25ms,jitter=5ms,loss=1%,reorder=2%,duplicate=3%,burst=0.5%x8,bandwidth=4Mbit,queue=64kB";
        let conditions: Conditions = text.parse().unwrap();
        assert_eq!(conditions.delay, Duration::from_millis(25));
        assert_eq!(conditions.bursts, Some(Bursts { share: 0.005, packets: 8.0 }));
        assert_eq!((conditions.bandwidth, conditions.queue_bytes), (Some(4_000_000), 64_000));
        assert_eq!(conditions.to_string().parse(), Ok(conditions));
        assert_eq!("".parse(), Ok(Conditions::default()));
    }

    #[test]
    fn what_is_no_condition_is_named() {
        for part in ["delay=25", "loss=101%", "loss=NaN%", "delay=-1s", "speed=1s", "queue=3B", "burst=1%", "x"] {
            let refused = format!("loss=1%,{part}").parse::<Conditions>().unwrap_err();
            assert!(refused.to_string().contains(&format!("'{part}'")), "{refused}");
        }
    }
}
