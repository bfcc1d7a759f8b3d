//! What both ends of a lane work out ahead of a packet, where the application simulates its bodies: their own guesses
//! know neither shapes nor contacts, a [`Foresight`] may.

use std::collections::BTreeMap;
use std::fmt;

use super::lease::BodyNumber;
use super::packet::{Track, Window};
use super::placement::Placement;
use crate::limits;

/// A body as both ends know that it was lately.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Which.
    pub number: BodyNumber,
    /// Where it was, oldest first; at least one, and none of the last few ticks, which are still on the way.
    pub past: Vec<Sighting>,
}

/// Where a body was at a tick, as exactly as the lane tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sighting {
    /// When, on the sender's count.
    pub tick: u32,
    /// Where.
    pub at: Placement,
    /// Whether it was told to stay there.
    pub resting: bool,
}

/// A simulation that the two ends of a lane share. It is one more guess beside those that a lane makes by itself, and
/// counts for as much as it was right of late; whatever it says, what is told arrives as exactly.
///
/// Both ends must give the same answer to the last bit, on different machines too: each packet carries 16 bits of what
/// its sender foresaw, and one that was written by another foresight is not read. So nothing may be kept from one call to
/// the next (some packets arrive at one end only), and of a physics engine its deterministic mode is needed.
///
/// ```
/// use gemba_net::body::{BodyReceiver, BodySender, Foresight, Placement, Precision, Seen};
///
/// /// A conveyor that carries everything on it along X, 2 cm a tick.
/// #[derive(Debug)]
/// struct Conveyor;
///
/// impl Foresight for Conveyor {
///     fn foresee(&mut self, seen: &[Seen], tick: u32) -> Vec<Placement> {
///         let carried = |seen: &Seen| {
///             let last = seen.past.last().expect("there is at least one");
///             let mut at = last.at;
///             at.place[0] += 0.02 * f64::from(tick - last.tick);
///             at
///         };
///         seen.iter().map(carried).collect()
///     }
/// }
///
/// let precision = Precision::of_hands();
/// let sender = BodySender::new(precision).with_foresight(Box::new(Conveyor));
/// let receiver = BodyReceiver::new(precision, 100).with_foresight(Box::new(Conveyor));
/// ```
pub trait Foresight: fmt::Debug + Send {
    /// Where each body will be at `tick`, in their order; a body beyond the end of the answer is left to the lane.
    fn foresee(&mut self, seen: &[Seen], tick: u32) -> Vec<Placement>;
}

/// One end's foresight, and what it said last.
#[derive(Debug, Default)]
pub(super) struct Outlook {
    foresight: Option<Box<dyn Foresight>>,
    asked: Option<(Window, u32)>,
    places: BTreeMap<u32, Placement>,
    digest: u16,
}

impl Outlook {
    pub(super) fn of(foresight: Box<dyn Foresight>) -> Self {
        Self { foresight: Some(foresight), ..Self::default() }
    }

    /// Looks ahead to `tick` from what the window holds of these bodies, which both ends know alike. The packets of one
    /// tick build on one window, so that one look serves them all.
    pub(super) fn look<'a>(&mut self, window: &Window, tick: u32, tracks: impl Iterator<Item = (u32, &'a Track)>) {
        let Some(foresight) = &mut self.foresight else { return };
        if self.asked.as_ref().is_some_and(|(asked, at)| asked == window && *at == tick) {
            return;
        }
        let seen = tracks.filter_map(|(number, track)| {
            let held = window.of(&track.told).into_iter().rev();
            let past: Vec<_> =
                held.map(|known| Sighting { tick: known.tick, at: known.at, resting: known.resting }).collect();
            (!past.is_empty()).then_some(Seen { number: BodyNumber(number), past })
        });
        let seen: Vec<_> = seen.take(limits::BODIES_FORESEEN).collect();
        let places = foresight.foresee(&seen, tick);
        self.places = seen.iter().map(|seen| seen.number.0).zip(places.into_iter().map(Placement::mended)).collect();
        self.digest = digest(self.places.values());
        self.asked = Some((window.clone(), tick));
    }

    /// By which the ends see that they look alike; none without a foresight.
    pub(super) fn digest(&self) -> Option<u16> {
        self.foresight.is_some().then_some(self.digest)
    }

    /// Where a body was foreseen.
    pub(super) fn place(&self, body: u32) -> Option<Placement> {
        self.places.get(&body).copied()
    }
}

/// FNV-1a over the bits of all numbers, folded.
fn digest<'a>(places: impl Iterator<Item = &'a Placement>) -> u16 {
    let numbers = places.flat_map(|at| at.place.into_iter().chain(at.rotation));
    let hash = numbers.fold(0xcbf2_9ce4_8422_2325u64, |hash, number| {
        // The high half too: of a product only the low bits of its factors reach the low ones.
        let mixed = (hash ^ number.to_bits()).wrapping_mul(0x0000_0100_0000_01b3);
        mixed ^ mixed >> 32
    });
    (hash ^ hash >> 16) as u16
}
