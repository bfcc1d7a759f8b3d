//! From a tag's history to the few points a plot needs. Devices report changes, so a value holds until the next sample
//! and must not be drawn as a slow drift; and what is thinned out must keep its spikes.

use std::collections::VecDeque;

use gemba_twin::sample::Timestamp;

use crate::readings::Span;

/// Most points given to one plot.
pub(super) const POINTS: usize = 400;

/// A longer silence than this means that the value stayed as it was, seconds.
const HOLD_SECS: f64 = 0.3;
/// How long before the new value a held one ends, seconds: the pace at which devices are sampled.
const STEP_SECS: f64 = 0.1;

/// One unbroken piece of a curve: seconds before now (negative) and value.
pub(super) type Piece = Vec<[f64; 2]>;

/// Between which numbers a fast tag was: an unbroken band of instants (seconds before now), each with its lowest and
/// highest number.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Band {
    pub(super) at: Vec<f64>,
    pub(super) lowest: Vec<f64>,
    pub(super) highest: Vec<f64>,
}

/// The bands of the last `window_secs`, in at most some [`POINTS`] points: spans that fall into one slice of time become
/// one. A band ends where nothing was heard for longer than [`HOLD_SECS`].
pub(super) fn bands(envelope: &VecDeque<Span>, now: Timestamp, window_secs: f64) -> Vec<Band> {
    let secs_of = |at: Timestamp| at.micros_since(now) as f64 / 1e6;
    let slice = |at: f64| (at / window_secs * POINTS as f64 / 2.0).floor() as i64;
    let first = envelope.partition_point(|span| secs_of(span.to) < -window_secs);
    let mut bands: Vec<Band> = Vec::new();
    let mut newest: Option<(f64, i64)> = None;
    for Span { from, to, lowest, highest } in envelope.range(first..) {
        let (from, to) = (secs_of(*from).max(-window_secs), secs_of(*to).min(0.0));
        let goes_on = newest.is_some_and(|(end, _)| from - end <= HOLD_SECS);
        if !goes_on {
            bands.push(Band::default());
        }
        let Some(band) = bands.last_mut() else { continue };
        if let (true, Some((_, known)), Some(low), Some(high)) =
            (goes_on, newest, band.lowest.last_mut(), band.highest.last_mut())
            && known == slice(to)
        {
            (*low, *high) = (low.min(*lowest), high.max(*highest));
        } else {
            if !goes_on {
                band.push(from, *lowest, *highest);
            }
            band.push(to, *lowest, *highest);
        }
        newest = Some((to, slice(to)));
    }
    bands
}

impl Band {
    fn push(&mut self, at: f64, lowest: f64, highest: f64) {
        self.at.push(at);
        self.lowest.push(lowest);
        self.highest.push(highest);
    }
}

/// The pieces of the last `window_secs` of a history, broken where there is no value, at most [`POINTS`] points.
/// `live` leads the newest value on to now; otherwise the curve ends where word ended.
pub(super) fn pieces(
    history: &VecDeque<(Timestamp, f64)>,
    now: Timestamp,
    window_secs: f64,
    continuous: bool,
    live: bool,
) -> Vec<Piece> {
    let secs_of = |at: Timestamp| at.micros_since(now) as f64 / 1e6;
    let from = -window_secs;
    // One sample from before the window says what held when it began.
    let first = history.partition_point(|(at, _)| secs_of(*at) < from).saturating_sub(1);
    let mut thinning = Thinning::new(from, window_secs / (POINTS / 2) as f64);
    let mut before: Option<(f64, f64)> = None;
    for (at, value) in history.range(first..) {
        let at = secs_of(*at);
        if let Some((before_at, before_value)) = before.filter(|(_, value)| !value.is_nan()) {
            let hold_until = if continuous { at - STEP_SECS } else { at };
            if at - before_at > HOLD_SECS || !continuous || value.is_nan() {
                thinning.take(hold_until.max(before_at), before_value);
            }
        }
        thinning.take(at, *value);
        before = Some((at, *value));
    }
    if let Some((_, value)) = before.filter(|_| live) {
        thinning.take(0.0, value);
    }
    thinning.finish()
}

/// Keeps the lowest and the highest value of every slice of time.
struct Thinning {
    from: f64,
    slice_secs: f64,
    slice: i64,
    lowest: Option<[f64; 2]>,
    highest: Option<[f64; 2]>,
    breaks: bool,
    pieces: Vec<Piece>,
    piece: Piece,
}

impl Thinning {
    fn new(from: f64, slice_secs: f64) -> Self {
        Self {
            from,
            slice_secs,
            slice: 0,
            lowest: None,
            highest: None,
            breaks: false,
            pieces: Vec::new(),
            piece: Vec::new(),
        }
    }

    fn take(&mut self, at: f64, value: f64) {
        let at = at.clamp(self.from, 0.0);
        let slice = ((at - self.from) / self.slice_secs) as i64;
        if slice != self.slice {
            self.close_slice();
            self.slice = slice;
        }
        if value.is_nan() {
            self.breaks = true;
            if self.lowest.is_none() {
                self.end_piece();
            }
            return;
        }
        if self.lowest.is_none_or(|[_, lowest]| value < lowest) {
            self.lowest = Some([at, value]);
        }
        if self.highest.is_none_or(|[_, highest]| value >= highest) {
            self.highest = Some([at, value]);
        }
    }

    fn close_slice(&mut self) {
        if let (Some(lowest), Some(highest)) = (self.lowest.take(), self.highest.take()) {
            let (first, second) = if lowest[0] <= highest[0] { (lowest, highest) } else { (highest, lowest) };
            self.piece.push(first);
            if second != first {
                self.piece.push(second);
            }
        }
        self.end_piece();
    }

    /// Begins a new piece if there was a gap.
    fn end_piece(&mut self) {
        if std::mem::take(&mut self.breaks) && !self.piece.is_empty() {
            self.pieces.push(std::mem::take(&mut self.piece));
        }
    }

    fn finish(mut self) -> Vec<Piece> {
        self.breaks = true;
        self.close_slice();
        self.pieces
    }
}

/// What the value axis shows: all of the curve with some air, and never so little that noise looks like news.
pub(super) fn value_span(pieces: &[Piece], bands: &[Band]) -> (f64, f64) {
    let extremes = bands.iter().flat_map(|band| band.lowest.iter().chain(&band.highest)).copied();
    let values = pieces.iter().flatten().map(|[_, value]| *value).chain(extremes);
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    let least = (low.abs().max(high.abs()) * 0.02).max(0.1);
    let (middle, half) = ((low + high) / 2.0, ((high - low) * 0.56).max(least));
    (middle - half, middle + half)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(samples: impl IntoIterator<Item = (f64, f64)>) -> VecDeque<(Timestamp, f64)> {
        samples.into_iter().map(|(secs, value)| (Timestamp((secs * 1e6).round() as i64), value)).collect()
    }

    fn at_60(samples: impl IntoIterator<Item = (f64, f64)>) -> Vec<Piece> {
        pieces(&history(samples), Timestamp::from_secs(60), 60.0, true, true)
    }

    #[test]
    fn a_spike_of_one_sample_survives_thinning() {
        let samples = (0..4000).map(|i| (f64::from(i) * 0.015, if i == 1777 { 99.0 } else { 1.0 }));
        let pieces = at_60(samples);
        let points: usize = pieces.iter().map(Vec::len).sum();
        assert!(points <= POINTS + 2, "{points} points");
        assert!(pieces.iter().flatten().any(|[_, v]| *v == 99.0));
    }

    #[test]
    fn a_gap_breaks_the_curve_and_no_line_crosses_it() {
        let pieces = at_60([(10.0, 1.0), (11.0, 2.0), (20.0, f64::NAN), (40.0, 3.0), (41.0, 4.0)]);
        assert_eq!(pieces.len(), 2);
        let end = pieces[0].last().unwrap();
        assert!((end[0] + 40.1).abs() < 0.4 && end[1] == 2.0, "held until the value was lost: {end:?}");
        assert!(pieces[1][0][0] >= -20.4);
    }

    #[test]
    fn a_value_holds_through_silence_and_to_the_edges() {
        let pieces = at_60([(-100.0, 5.0), (30.0, 7.0)]);
        assert_eq!(pieces.len(), 1);
        let piece = &pieces[0];
        assert_eq!((piece[0], piece[piece.len() - 1]), ([-60.0, 5.0], [0.0, 7.0]));
        assert!(piece.iter().any(|[at, v]| (*at + 30.1).abs() < 0.01 && *v == 5.0), "no drift from 5 to 7: {piece:?}");
    }

    #[test]
    fn without_word_from_the_host_the_curve_ends() {
        let pieces = pieces(&history([(10.0, 1.0), (20.0, 1.0)]), Timestamp::from_secs(60), 60.0, true, false);
        assert_eq!(pieces[0].last().unwrap()[0], -40.0);
    }

    #[test]
    fn a_spike_between_two_samples_shows_in_the_band_and_on_the_axis_however_long_it_is_kept() {
        let span = |n: i64, highest: f64| Span {
            from: Timestamp(n * 100_000),
            to: Timestamp(n * 100_000 + 90_000),
            lowest: -1.0,
            highest,
        };
        let spans = (0..600).filter(|n| !(200..210).contains(n)).map(|n| span(n, if n == 333 { 50.0 } else { 1.0 }));
        let bands = bands(&spans.collect(), Timestamp::from_secs(60), 60.0);
        assert_eq!(bands.len(), 2, "nothing is said of when nothing was heard");
        assert!(bands.iter().map(|band| band.at.len()).sum::<usize>() <= POINTS / 2 + 4);
        assert!(bands.iter().all(|band| band.at.is_sorted() && band.at.len() == band.lowest.len()));
        assert_eq!(bands[1].highest.iter().copied().fold(0.0, f64::max), 50.0);
        assert!(value_span(&[vec![[-1.0, 0.0]]], &bands).1 > 50.0);
    }

    #[test]
    fn a_flat_curve_still_has_a_span() {
        assert_eq!(value_span(&[], &[]), (0.0, 1.0));
        let (low, high) = value_span(&[vec![[-1.0, 50.0], [0.0, 50.0]]], &[]);
        assert!(low < 49.5 && high > 50.5);
        let (low, high) = value_span(&[vec![[-1.0, 0.0], [0.0, 10.0]]], &[]);
        assert!(low < 0.0 && high > 10.0);
    }
}
