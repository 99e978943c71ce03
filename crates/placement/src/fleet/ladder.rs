//! Pools in the order of what they cost at least.
//!
//! A sorted list in pieces, so that it is read in a row and a pool that changes its price moves
//! little.

use crate::pool::PoolId;

/// A piece that would have more rows becomes two.
const PIECE_MAX: usize = 256;

/// What a unit of a pool's nodes costs at least, and the pool.
pub(crate) type Row = (u64, PoolId);

/// The list, the cheapest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ladder {
    /// None of them empty.
    pieces: Vec<Vec<Row>>,
}

/// How far a ladder has been climbed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rung {
    piece: usize,
    row: usize,
}

impl Ladder {
    /// The first row from `rung` on that is wanted, or the first that is too dear to go on; the
    /// rung after it.
    pub(crate) fn next(&self, mut rung: Rung, wanted: impl Fn(Row) -> bool) -> Option<(Row, Rung)> {
        while let Some(piece) = self.pieces.get(rung.piece) {
            let rest = piece.get(rung.row..).unwrap_or_default();
            if let Some(at) = rest.iter().position(|row| wanted(*row)) {
                rung.row += at + 1;
                return Some((rest[at], rung));
            }
            rung = Rung {
                piece: rung.piece + 1,
                row: 0,
            };
        }
        None
    }

    pub(crate) fn insert(&mut self, row: Row) {
        let piece = self.piece_of(row).min(self.pieces.len().saturating_sub(1));
        let Some(rows) = self.pieces.get_mut(piece) else {
            self.pieces.push(vec![row]);
            return;
        };
        let at = rows.partition_point(|other| *other < row);
        rows.insert(at, row);
        if rows.len() > PIECE_MAX {
            let upper = rows.split_off(PIECE_MAX / 2);
            self.pieces.insert(piece + 1, upper);
        }
    }

    pub(crate) fn remove(&mut self, row: Row) {
        let piece = self.piece_of(row);
        let Some(rows) = self.pieces.get_mut(piece) else {
            return;
        };
        if let Ok(at) = rows.binary_search(&row) {
            rows.remove(at);
        }
        if rows.is_empty() {
            self.pieces.remove(piece);
        }
    }

    /// The first piece whose last row is not before this one.
    fn piece_of(&self, row: Row) -> usize {
        let before = |rows: &Vec<Row>| rows.last().is_none_or(|last| *last < row);
        self.pieces.partition_point(before)
    }

    /// All rows, the cheapest first.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        self.pieces.iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_in_order_and_is_climbed_in_order(
            steps in proptest::collection::vec((0_u8..4, 0_u64..60, 0_u32..40), 0..3_000), odd: bool,
        ) {
            let (mut ladder, mut expected) = (Ladder::default(), BTreeSet::new());
            for (kind, key, pool) in steps {
                if kind == 0 {
                    ladder.remove((key, pool));
                    expected.remove(&(key, pool));
                } else if expected.insert((key, pool)) {
                    ladder.insert((key, pool));
                }
            }
            prop_assert!(ladder.rows().eq(expected.iter().copied()));
            let wanted = |row: Row| (row.1 % 2 == 1) == odd;
            let (mut rung, mut climbed) = (Rung::default(), Vec::new());
            while let Some((row, next)) = ladder.next(rung, wanted) {
                climbed.push(row);
                rung = next;
            }
            prop_assert!(climbed.into_iter().eq(expected.into_iter().filter(|row| wanted(*row))));
        }
    }
}
