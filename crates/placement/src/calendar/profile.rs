//! How much of a node is booked when: what it changes by at each moment at which it changes.
//!
//! The changes lie in pieces, and of each piece is kept what it changes by in all and how high it
//! gets. So a booking touches two pieces and then looks at each piece once, whether there are ten
//! bookings or ten thousand.

use remuda_types::Time;

use super::Booking;
use super::load::Load;
use crate::amounts::Amounts;

/// A piece with more changes becomes two.
const PIECE_MAX: usize = 64;

/// What is booked when.
#[derive(Clone, Debug, Default)]
pub(super) struct Profile {
    /// In the order of time, none of them empty.
    pieces: Vec<Piece>,
    most: Amounts,
}

/// Some changes that follow one another.
#[derive(Clone, Debug, Default)]
struct Piece {
    changes: Vec<(Time, Load)>,
    /// All of them together.
    sum: Load,
    /// The most there is after any of them, beyond what there is before the first.
    peak: Load,
}

impl Profile {
    /// Adds a booking.
    pub(super) fn add(&mut self, booking: &Booking) {
        let load = Load::of(&booking.shape, booking.gpus);
        self.change_both(booking, &load, &load.back());
    }

    /// Undoes [`Profile::add`].
    pub(super) fn take(&mut self, booking: &Booking) {
        let load = Load::of(&booking.shape, booking.gpus);
        self.change_both(booking, &load.back(), &load);
    }

    fn change_both(&mut self, booking: &Booking, begins: &Load, ends: &Load) {
        // What ends no later than it begins is never there.
        if booking.from < booking.to {
            self.change(booking.from, begins);
            self.change(booking.to, ends);
            self.most = self.highest().amounts();
        }
    }

    /// The most at any one moment.
    pub(super) const fn most(&self) -> &Amounts {
        &self.most
    }

    fn highest(&self) -> Load {
        let (mut level, mut most) = (Load::default(), Load::default());
        for piece in &self.pieces {
            most.raise_to_sum(&level, &piece.peak);
            level.add(&piece.sum);
        }
        most
    }

    /// The most at any one moment from a time on and before another.
    pub(super) fn most_within(&self, from: Time, to: Time) -> Amounts {
        let mut climb = Climb::default();
        if from < to {
            for piece in &self.pieces {
                if piece.first() >= to {
                    break;
                }
                climb.over(piece, (from, to));
            }
            climb.note_level();
        }
        climb.most.amounts()
    }

    fn change(&mut self, at: Time, by: &Load) {
        // The last piece that begins no later, or the first.
        let after = self.pieces.partition_point(|piece| piece.first() <= at);
        let index = after.saturating_sub(1);
        if self.pieces.is_empty() {
            self.pieces.push(Piece::default());
        }
        let piece = &mut self.pieces[index];
        piece.change(at, by);
        if piece.changes.is_empty() {
            self.pieces.remove(index);
        } else if piece.changes.len() > PIECE_MAX {
            let rest = piece.split();
            self.pieces.insert(index + 1, rest);
        }
    }
}

impl Piece {
    fn of(changes: Vec<(Time, Load)>) -> Self {
        let mut piece = Self {
            changes,
            ..Self::default()
        };
        piece.sum_up();
        piece
    }

    /// When the first of them is; never where there is none, which no piece in a profile is.
    fn first(&self) -> Time {
        self.changes.first().map_or(Time::FOREVER, |(at, _)| *at)
    }

    fn last(&self) -> Time {
        self.changes.last().map_or(Time::FOREVER, |(at, _)| *at)
    }

    fn change(&mut self, at: Time, by: &Load) {
        match self.changes.binary_search_by_key(&at, |(at, _)| *at) {
            Ok(found) => {
                self.changes[found].1.add(by);
                // One begins where another ends.
                if self.changes[found].1.is_nothing() {
                    self.changes.remove(found);
                }
            }
            Err(_) if by.is_nothing() => {}
            Err(found) => self.changes.insert(found, (at, by.clone())),
        }
        self.sum_up();
    }

    fn split(&mut self) -> Self {
        let rest = self.changes.split_off(self.changes.len() / 2);
        self.sum_up();
        Self::of(rest)
    }

    fn sum_up(&mut self) {
        let mut changes = self.changes.iter();
        let first = changes.next().map(|(_, by)| by.clone());
        let mut sum = first.unwrap_or_default();
        let mut peak = sum.clone();
        for (_, by) in changes {
            sum.add(by);
            peak.raise(&sum);
        }
        (self.sum, self.peak) = (sum, peak);
    }
}

/// How much there is, and how much there was at most, as time goes by.
#[derive(Default)]
struct Climb {
    level: Load,
    most: Load,
}

impl Climb {
    /// Goes over a piece that has a change before `to`.
    fn over(&mut self, piece: &Piece, (from, to): (Time, Time)) {
        if piece.last() <= from {
            self.level.add(&piece.sum);
        } else if from < piece.first() && piece.last() < to {
            self.note_level();
            self.most.raise_to_sum(&self.level, &piece.peak);
            self.level.add(&piece.sum);
        } else {
            let before = piece.changes.iter().take_while(|(at, _)| *at < to);
            for (at, by) in before {
                if *at > from {
                    self.note_level();
                }
                self.level.add(by);
            }
        }
    }

    fn note_level(&mut self) {
        self.most.raise(&self.level);
    }
}
