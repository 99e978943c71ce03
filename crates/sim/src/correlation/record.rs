//! When each of some sites was down, tick by tick: two halves of one record.

use remuda_types::{Span, Time};

use crate::availability::Availability;

/// The most ticks that are compared.
const TICKS_MAX: u64 = 10_000_000;

/// When each site had nothing to give.
#[derive(Clone, Debug)]
pub struct Record {
    gap: Span,
    ticks: usize,
    /// One bit a tick of each site: set while it is down.
    down: Vec<Vec<u64>>,
}

/// Why traces make no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// There is nothing to choose from.
    #[error("{sites} sites: at least 2 are expected; name a file for each")]
    TooFewSites {
        /// How many there are.
        sites: usize,
    },
    /// They are too short to be cut in two, or too long.
    #[error(
        "the traces have {ticks} ticks in common: 4 to 10,000,000 are expected, so that one half can be judged by the other"
    )]
    Length {
        /// How many ticks there are.
        ticks: u64,
    },
}

impl Record {
    /// The record that traces make, each of one site: for as long as the shortest lasts, at the
    /// ticks of the finest.
    pub fn of(traces: &[Availability]) -> Result<Self, RecordError> {
        let gap = traces.iter().map(Availability::gap).min();
        let length = traces.iter().map(Availability::length).min();
        let sites = traces.len();
        let (Some(gap), Some(length)) = (gap, length) else {
            return Err(RecordError::TooFewSites { sites });
        };
        if sites < 2 {
            return Err(RecordError::TooFewSites { sites });
        }
        let ticks = length.as_millis() / gap.as_millis().max(1);
        if !(4..=TICKS_MAX).contains(&ticks) {
            return Err(RecordError::Length { ticks });
        }
        let at = |tick: u64| Time::from_millis(tick * gap.as_millis());
        let down = traces.iter().map(|trace| {
            let mut words = vec![0; words(ticks)];
            for tick in (0..ticks).filter(|tick| trace.is_down(at(*tick))) {
                set(&mut words, tick);
            }
            words
        });
        Ok(Self {
            gap,
            ticks: usize::try_from(ticks).unwrap_or(usize::MAX),
            down: down.collect(),
        })
    }

    /// How many sites there are.
    pub const fn sites(&self) -> usize {
        self.down.len()
    }

    /// From one tick to the next.
    pub const fn gap(&self) -> Span {
        self.gap
    }

    /// How long it is.
    pub fn length(&self) -> Span {
        Span::from_millis(self.gap.as_millis().saturating_mul(self.ticks as u64))
    }

    const fn half(&self) -> usize {
        self.ticks / 2
    }

    fn is_down(&self, site: usize, tick: usize) -> bool {
        self.down[site][tick / 64] >> (tick % 64) & 1 == 1
    }

    /// The outages that begin in the first half, the earliest first; what was down from the
    /// beginning went down at a time that is not known.
    pub(super) fn outages_of_first_half(&self) -> impl Iterator<Item = (Time, usize)> + '_ {
        let ticks = 1..self.half();
        ticks.flat_map(move |tick| {
            let at = Time::from_millis(self.gap.as_millis().saturating_mul(tick as u64));
            let begins =
                move |site: &usize| self.is_down(*site, tick) && !self.is_down(*site, tick - 1);
            let sites = 0..self.sites();
            sites.filter(begins).map(move |site| (at, site))
        })
    }

    /// For what share of the second half all of these sites were down.
    pub(super) fn all_down(&self, sites: &[usize]) -> f64 {
        let words = self.half() / 64..self.ticks.div_ceil(64);
        let down = words.map(|word| {
            let of_sites = sites.iter().map(|site| self.down[*site][word]);
            let all = of_sites.fold(u64::MAX, |all, of| all & of);
            u64::from((all & self.unseen(word)).count_ones())
        });
        share(down.sum(), self.ticks - self.half())
    }

    /// The same if each went down without regard to the others.
    pub(super) fn all_down_if_independent(&self, sites: &[usize]) -> f64 {
        sites.iter().map(|site| self.all_down(&[*site])).product()
    }

    /// The ticks of a word that lie in the second half.
    fn unseen(&self, word: usize) -> u64 {
        let first = word * 64;
        let from = self.half().saturating_sub(first).min(64);
        let to = self.ticks.saturating_sub(first).min(64);
        below(to) & !below(from)
    }
}

/// The bits below this one.
const fn below(bit: usize) -> u64 {
    if bit >= 64 { u64::MAX } else { (1 << bit) - 1 }
}

fn words(ticks: u64) -> usize {
    usize::try_from(ticks.div_ceil(64)).unwrap_or(usize::MAX)
}

fn set(words: &mut [u64], tick: u64) {
    if let Some(word) = usize::try_from(tick / 64)
        .ok()
        .and_then(|at| words.get_mut(at))
    {
        *word |= 1 << (tick % 64);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "at most ten million ticks, far below 2^52"
)]
fn share(part: u64, of: usize) -> f64 {
    part as f64 / of.max(1) as f64
}
