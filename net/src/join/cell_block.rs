//! The bodies of one cell, column by column.

use gemba_twin::path::ThingId;
use gemba_twin::sample::Timestamp;

use super::CELL;
use crate::body::{BodyNumber, Epoch, Lease};
use crate::interest::{CELL_MM, Cell};
use crate::leb128::{get, get_signed, put, put_signed};
use crate::limits;
use crate::peers::PeerNumber;
use crate::pose_codec::take;
use crate::relay::Sample;
use crate::relay::bits::{Bits, Reader, Writer};
use crate::wire::BodyNews;

/// A body, whose it is and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StillBody {
    /// Its number.
    pub body: BodyNumber,
    /// Which thing it is.
    pub thing: ThingId,
    /// Who may move it.
    pub holder: PeerNumber,
    /// Where it is, and of which epoch its lease.
    pub sample: Sample,
}

impl StillBody {
    /// The same as news of one body.
    pub(crate) fn news(&self) -> BodyNews {
        let (at, epoch) = self.sample.body();
        let when = Timestamp(self.sample.millis().cast_signed().saturating_mul(1000));
        BodyNews { body: self.body, thing: self.thing, lease: Lease { holder: self.holder, epoch }, at, when }
    }
}

/// The bodies of one cell at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellBlock {
    /// Which cell.
    pub cell: Cell,
    /// When, milliseconds on the host's clock.
    pub millis: u64,
    /// By number, each once.
    pub bodies: Vec<StillBody>,
}

/// Of each body: number, three of place, four of turn, epoch, holder.
const COLUMNS: usize = 10;
/// Added to components of a turn, so that none is negative.
const TURN_OFFSET: i16 = 2048;
const ORDER_LEAST: u32 = 8;
const THING_BYTES: usize = 16;

impl CellBlock {
    /// As a piece. Bodies are sorted by number and in the cell, as whoever makes one sees to.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![CELL];
        self.cell.0.iter().for_each(|at| put_signed((*at).into(), &mut out));
        put(self.bodies.len() as u64, &mut out);
        out.extend_from_slice(&self.millis.to_le_bytes()[..6]);
        let mut rows = Vec::with_capacity(self.bodies.len());
        let mut from = 0;
        for still in &self.bodies {
            out.extend_from_slice(&still.thing.0);
            rows.push(self.row(still.body.0 - from, still));
            from = still.body.0 + 1;
        }
        let mut writer = Writer::new(out);
        for column in 0..COLUMNS {
            let values = || rows.iter().map(|row: &[u32; COLUMNS]| row[column]);
            let least = values().min().unwrap_or(0);
            let width = 32 - values().map(|value| value - least).max().unwrap_or(0).leading_zeros();
            writer.bits(6, width);
            writer.number(ORDER_LEAST, least);
            for value in values() {
                writer.bits(width, value - least);
            }
        }
        writer.finish()
    }

    fn row(&self, gap: u32, still: &StillBody) -> [u32; COLUMNS] {
        let (place, (largest, parts), epoch) = still.sample.body_steps();
        let within = |axis: usize| (place[axis] - self.cell.0[axis] * CELL_MM).cast_unsigned();
        let part = |n: usize| (parts[n] + TURN_OFFSET).cast_unsigned().into();
        [
            gap,
            within(0),
            within(1),
            within(2),
            largest.into(),
            part(0),
            part(1),
            part(2),
            epoch.0,
            still.holder.0.into(),
        ]
    }

    /// From a piece; none if it is none.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        if take::<1>(&mut bytes)? != [CELL] {
            return None;
        }
        let mut at = [0; 3];
        for axis in &mut at {
            *axis = i32::try_from(get_signed(&mut bytes)?).ok()?;
        }
        let count = usize::try_from(get(&mut bytes)?).ok().filter(|count| *count <= limits::BODIES)?;
        let mut millis = [0; 8];
        millis[..6].copy_from_slice(&take::<6>(&mut bytes)?);
        let (cell, millis) = (Cell(at), u64::from_le_bytes(millis));
        let (things, columns) = bytes.split_at_checked(count * THING_BYTES)?;
        let rows = read_columns(columns, count)?;
        let mut bodies = Vec::with_capacity(count);
        let mut from = 0u32;
        for (thing, row) in things.as_chunks().0.iter().zip(&rows) {
            let body = BodyNumber(from.checked_add(row[0]).filter(|number| *number < u32::MAX)?);
            from = body.0 + 1;
            let holder = PeerNumber(u16::try_from(row[9]).ok()?);
            bodies.push(StillBody { body, thing: ThingId(*thing), holder, sample: sample_of(cell, millis, row)? });
        }
        Some(Self { cell, millis, bodies })
    }
}

fn read_columns(bytes: &[u8], count: usize) -> Option<Vec<[u32; COLUMNS]>> {
    let mut reader = Reader::new(bytes);
    let mut rows = vec![[0; COLUMNS]; count];
    for column in 0..COLUMNS {
        let width = reader.bits(6, 0);
        let least = reader.number(ORDER_LEAST, 0);
        // More than is there is not read bit by bit.
        if width > 32 || count.saturating_mul(width as usize) > bytes.len() * 8 {
            return None;
        }
        for row in &mut rows {
            row[column] = least.checked_add(reader.bits(width, 0))?;
        }
    }
    (!reader.is_broken()).then_some(rows)
}

fn sample_of(cell: Cell, millis: u64, row: &[u32; COLUMNS]) -> Option<Sample> {
    let mut place = [0; 3];
    for (axis, at) in place.iter_mut().enumerate() {
        let within = i32::try_from(row[1 + axis]).ok().filter(|within| *within < CELL_MM)?;
        *at = cell.0[axis].checked_mul(CELL_MM)?.checked_add(within)?;
    }
    let largest = u8::try_from(row[4]).ok().filter(|largest| *largest < 4)?;
    let mut parts = [0; 3];
    for (n, part) in parts.iter_mut().enumerate() {
        *part = i16::try_from(row[5 + n]).ok()?.checked_sub(TURN_OFFSET).filter(|part| part.abs() < TURN_OFFSET)?;
    }
    Some(Sample::of_body_steps(place, (largest, parts), Epoch(row[8]), millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Placement;
    use proptest::prelude::*;

    fn block(bodies: impl IntoIterator<Item = (u32, [f64; 3], [f64; 4], u32)>) -> CellBlock {
        let bodies = bodies.into_iter().map(|(number, place, rotation, epoch)| {
            let at = Placement { place: place.map(|within| within - 8.0), rotation };
            let (body, thing, holder) = (BodyNumber(number), ThingId([number as u8; 16]), PeerNumber(u16::MAX));
            StillBody { body, thing, holder, sample: Sample::of_body(&at, Epoch(epoch), 7) }
        });
        CellBlock { cell: Cell([-1; 3]), millis: 7, bodies: bodies.collect() }
    }

    #[test]
    fn the_bytes_of_a_cell_stay_as_they_are() {
        let block = block([(3, [1.0, 0.0, 2.5], [0.0, 0.0, 0.0, 1.0], 0), (9, [7.999, 0.0, 2.5], [0.0; 4], 1)]);
        let hex: String = block.encode().iter().map(|byte| format!("{byte:02x}")).collect();
        let hex = hex.replace(&"03".repeat(16), "_").replace(&"09".repeat(16), "_");
        assert_eq!(hex, "0101010102070000000000__0a064693a0001b57020000ac4020600900004800024001802000403fc0");
        assert_eq!(CellBlock::decode(&block.encode()), Some(block));
    }

    #[test]
    fn beside_its_name_what_lies_anyhow_takes_eleven_bytes_and_what_stands_on_a_floor_nine() {
        let spread = |n: u32, by: u32| f64::from(n * by % 7919) / 1000.0;
        let anyhow = |n: u32| {
            let rotation = [spread(n, 31) - 4.0, spread(n, 77) - 4.0, spread(n, 53) - 4.0, spread(n, 101) - 4.0];
            (n * 1400, [spread(n, 613), spread(n, 911), spread(n, 1777)], rotation, 0)
        };
        let lying = block((0..70).map(anyhow)).encode().len();
        assert!(lying <= 70 * (16 + 11), "{lying} bytes");
        let upright = |n: u32| {
            let (number, place, turn, epoch) = anyhow(n);
            (number, [place[0], 0.0, place[2]], [0.0, turn[1], 0.0, turn[3]], epoch)
        };
        let standing = block((0..70).map(upright)).encode().len();
        assert!(standing <= 70 * (16 + 9), "{standing} bytes");
    }

    proptest! {
        #[test]
        fn a_cell_comes_back_as_it_was(bodies in proptest::collection::btree_map(0..limits::BODIES as u32,
            (proptest::array::uniform3(0f64..7.999), proptest::array::uniform4(-1f64..1.0), any::<u32>()), 0..50)) {
            let block = block(bodies.into_iter().map(|(number, (place, turn, epoch))| (number, place, turn, epoch)));
            prop_assert_eq!(CellBlock::decode(&block.encode()), Some(block));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = CellBlock::decode(&[&[CELL], &bytes[..]].concat());
        }
    }

    #[test]
    fn a_cell_that_claims_more_than_it_holds_is_refused() {
        let mut bytes = vec![CELL, 0, 0, 0];
        put(limits::BODIES as u64 + 1, &mut bytes);
        bytes.extend_from_slice(&[0; 40]);
        assert_eq!(CellBlock::decode(&bytes), None);
        let honest = block([(3, [1.0, 0.0, 2.5], [0.0, 0.0, 0.0, 1.0], 0)]).encode();
        assert_eq!(CellBlock::decode(&honest[..honest.len() - 4]), None);
    }
}
