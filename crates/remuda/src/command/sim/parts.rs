//! Parts of a run's row that only some runs have: requests, bookings and plans.

use remuda_sim::run::{Bookings, Gaps, Requests};
use remuda_wire::api::Usd;
use serde::Serialize;

/// What came of requests at gateways.
#[derive(Debug, Serialize)]
pub(super) struct Asked {
    came: u64,
    served: u64,
    moves: u64,
    failed: u64,
    failed_though_served: u64,
    overloaded: u64,
    unfunded: u64,
    unknown: u64,
    cut_off: u64,
    no_gateway: u64,
    lapsed: u64,
    gateway_faults: u64,
    posted_usd: Usd,
    lost_usd: Usd,
}

impl Asked {
    pub(super) fn of(requests: &Requests) -> Option<Self> {
        (requests.came > 0).then_some(Self {
            came: requests.came,
            served: requests.served,
            moves: requests.moves,
            failed: requests.failed,
            failed_though_served: requests.failed_though_served,
            overloaded: requests.overloaded,
            unfunded: requests.unfunded,
            unknown: requests.unknown,
            cut_off: requests.cut_off,
            no_gateway: requests.no_gateway,
            lapsed: requests.lapsed,
            gateway_faults: requests.gateway_faults,
            posted_usd: Usd(requests.posted),
            lost_usd: Usd(requests.lost),
        })
    }

    pub(super) fn text(&self) -> String {
        let failed = self.failed + self.failed_though_served;
        format!(
            "{}, {failed} ({} while a replica served), {}, {} ({} moves between replicas)",
            self.came, self.failed_though_served, self.overloaded, self.cut_off, self.moves
        )
    }
}

/// What came of reservations, standing orders and scaling.
#[derive(Debug, Serialize)]
pub(super) struct Booked {
    reservations_made: u64,
    reservations_begun_whole: u64,
    reservations_begun_late: u64,
    reservations_begun_in_part: u64,
    reservations_lapsed: u64,
    reservations_cancelled: u64,
    reservations_over: u64,
    standing_orders_placed: u64,
    standing_orders_filled_at_once: u64,
    standing_orders_filled_later: u64,
    standing_orders_lapsed: u64,
    standing_orders_cancelled: u64,
    scaled: u64,
    without_room: u64,
    refused: u64,
}

impl Booked {
    pub(super) fn of(bookings: &Bookings) -> Option<Self> {
        (*bookings != Bookings::default()).then_some(Self {
            reservations_made: bookings.made,
            reservations_begun_whole: bookings.begun_whole,
            reservations_begun_late: bookings.begun_late,
            reservations_begun_in_part: bookings.begun_in_part,
            reservations_lapsed: bookings.lapsed,
            reservations_cancelled: bookings.cancelled,
            reservations_over: bookings.over,
            standing_orders_placed: bookings.placed,
            standing_orders_filled_at_once: bookings.filled_at_once,
            standing_orders_filled_later: bookings.filled_later,
            standing_orders_lapsed: bookings.unfilled,
            standing_orders_cancelled: bookings.recalled,
            scaled: bookings.scaled,
            without_room: bookings.without_room,
            refused: bookings.refused,
        })
    }

    pub(super) fn texts(&self) -> [(&'static str, String); 3] {
        let filled = self.standing_orders_filled_at_once + self.standing_orders_filled_later;
        let ended = self.standing_orders_lapsed + self.standing_orders_cancelled;
        [
            (
                "reservations made, begun whole, begun late",
                format!(
                    "{}, {}, {} ({} in part, {} lapsed)",
                    self.reservations_made,
                    self.reservations_begun_whole,
                    self.reservations_begun_late,
                    self.reservations_begun_in_part,
                    self.reservations_lapsed
                ),
            ),
            (
                "standing orders placed, filled, ended",
                format!(
                    "{}, {filled} ({} at once), {ended}",
                    self.standing_orders_placed, self.standing_orders_filled_at_once
                ),
            ),
            (
                "scaled; any of these without room",
                format!("{}; {}", self.scaled, self.without_room),
            ),
        ]
    }
}

/// Plans of the whole network, and how much dearer what was held was than their bound: never less
/// than it was.
#[derive(Debug, Serialize)]
pub(super) struct Planned {
    made: u64,
    /// In millionths, the mean over the plans.
    gap_mean_ppm: Option<u64>,
    /// The last.
    gap_last_ppm: Option<u64>,
}

impl Planned {
    pub(super) fn of(gaps: &Gaps) -> Option<Self> {
        (gaps.plans > 0).then(|| Self {
            made: gaps.plans,
            gap_mean_ppm: gaps.mean_ppm(),
            gap_last_ppm: gaps.last_ppm,
        })
    }

    pub(super) fn text(&self) -> String {
        let percent = |ppm: Option<u64>| {
            ppm.map_or("unknown".to_owned(), |ppm| {
                format!("{}.{:02} %", ppm / 10_000, ppm % 10_000 / 100)
            })
        };
        let (mean, last) = (percent(self.gap_mean_ppm), percent(self.gap_last_ppm));
        format!("{mean}, {last} ({} plans)", self.made)
    }
}
