//! The way between control and machines: messages are late, lost and doubled.

use std::collections::BTreeMap;

use remuda_types::{SiteId, Span, Time};

use super::dice::Dice;
use super::ground::{Ground, Number};
use super::message::Message;
use crate::cities::{City, RoundTrip, RoundTrips};
use crate::scenario;
use crate::world::World;

/// What was lost of a session's stream is sent again after so long.
const RESEND: Span = Span::from_millis(250);

/// A report is followed by another.
const NEXT_REPORT: Span = Span::from_secs(1);

/// The longest that a stream tries before its connection counts as broken.
const RESENDS_MAX: u32 = 12;

/// How long a message takes from control to a machine, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    least: Span,
    most: Span,
}

impl Way {
    /// Half of a round trip, and what that differs by.
    fn of(trip: RoundTrip) -> Self {
        let half = |ms: f64| whole(ms.max(0.0) / 2.0);
        Self {
            least: half(trip.avg_ms - trip.mdev_ms),
            most: half(trip.avg_ms + trip.mdev_ms),
        }
    }
}

/// A length of time in whole milliseconds, rounded up.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "round trips are between 0 and two minutes"
)]
const fn whole(ms: f64) -> Span {
    Span::from_millis(ms.ceil() as u64)
}

/// The ways to the machines of a world whose sites stand in these cities, in the order of the
/// machines. Control stands in the largest city.
pub(crate) fn ways(
    world: &World,
    settled: &BTreeMap<SiteId, usize>,
    cities: &[City],
    trips: &RoundTrips,
) -> Vec<Way> {
    let numbered = cities.iter().enumerate();
    let largest =
        numbered.max_by(|(_, one), (_, other)| one.population.total_cmp(&other.population));
    let Some((largest, control)) = largest else {
        return Vec::new();
    };
    let way = |site: &SiteId| {
        let city = settled.get(site).copied().unwrap_or(largest);
        let (one, other) = ((largest, control.place), (city, cities[city].place));
        Way::of(trips.between(one, other))
    };
    world.offers.iter().map(|offer| way(&offer.site)).collect()
}

/// Decides what becomes of messages.
#[derive(Debug)]
pub(crate) struct Wires {
    dice: Dice,
    wanted: scenario::Wires,
    /// By machine; where there is none it is as long as the scenario says.
    ways: Vec<Way>,
    latency: Span,
}

impl Wires {
    pub(crate) fn new(dice: Dice, wanted: scenario::Wires, ways: Vec<Way>) -> Self {
        let again = if wanted.lost.0 > 0.0 {
            NEXT_REPORT
        } else {
            Span::ZERO
        };
        let longest = ways.iter().map(|way| way.most).max();
        Self {
            dice,
            latency: longest.unwrap_or(wanted.late.0).saturating_add(again),
            wanted,
            ways,
        }
    }

    /// How long what is said takes to arrive, at most: a report that is lost is followed by
    /// another.
    pub(crate) const fn latency(&self) -> Span {
        self.latency
    }

    /// From now on nothing is lost or doubled.
    pub(crate) const fn mend(&mut self) {
        self.wanted.lost = scenario::Chance(0.0);
        self.wanted.doubled = scenario::Chance(0.0);
    }

    /// When a message that is sent now arrives, once or twice or never.
    pub(crate) fn carry(&mut self, now: Time, message: &Message) -> Vec<Time> {
        let Some(resent) = self.resent(message) else {
            return Vec::new();
        };
        let way = self.way(Ground::number(&message.machine()));
        let copies = self.copies();
        self.arrivals(now + resent, way, copies)
    }

    /// When what a gateway says to control arrives, or control's answer: whoever hears nothing asks
    /// again, so nothing of it is sent again by itself.
    pub(crate) fn carry_word(&mut self, now: Time) -> Vec<Time> {
        if self.dice.falls(self.wanted.lost.0) {
            return Vec::new();
        }
        let copies = self.copies();
        self.arrivals(now, self.usual(), copies)
    }

    /// When what control pushes to a gateway arrives, as on a stream.
    pub(crate) fn carry_table(&mut self, now: Time) -> Vec<Time> {
        let mut spent = Span::ZERO;
        while self.dice.falls(self.wanted.lost.0) {
            spent = spent.saturating_add(RESEND);
        }
        let copies = self.copies();
        self.arrivals(now + spent, self.usual(), copies)
    }

    fn copies(&mut self) -> usize {
        1 + usize::from(self.dice.falls(self.wanted.doubled.0))
    }

    fn arrivals(&mut self, sent: Time, way: Way, copies: usize) -> Vec<Time> {
        let mut arrive = || {
            let late = self.dice.up_to(way.most.saturating_sub(way.least));
            sent + way.least + late
        };
        (0..copies).map(|_| arrive()).collect()
    }

    fn way(&self, machine: Number) -> Way {
        let known = self.ways.get(machine).copied();
        known.unwrap_or(self.usual())
    }

    /// The way of what has no place of its own.
    const fn usual(&self) -> Way {
        Way {
            least: Span::ZERO,
            most: self.wanted.late.0,
        }
    }

    /// For how long a message is tried in vain; nothing if it is lost for good.
    fn resent(&mut self, message: &Message) -> Option<Span> {
        let mut spent = Span::ZERO;
        for _ in 0..RESENDS_MAX {
            if !self.dice.falls(self.wanted.lost.0) {
                return Some(spent);
            }
            match message {
                // A probe is asked once: the next is another.
                Message::Probe(_) | Message::Answer(_) => return None,
                Message::Report(_) | Message::Assignment(..) => {
                    spent = spent.saturating_add(RESEND);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cities::{parse_cities, parse_round_trips};

    #[test]
    fn messages_take_half_of_a_round_trip_from_the_largest_city() {
        let cities = parse_cities(
            b"city,Lat,Long,Population\nPerth,-32,116,2\nParis,49,2,11\nLima,-12,-77,10\n",
        );
        let cities = cities.unwrap();
        let text = b"from_city,to_city_country_continent,avg_ms,mdev_ms\nPerth,Paris,301,3\n";
        let trips = parse_round_trips(text, &cities).unwrap();
        let mut world = World::of_sites(1, 4_000, 20);
        let settled = world.settle(1, &cities).unwrap();
        let ways = ways(&world, &settled, &cities, &trips);
        let ms = |least, most| Way {
            least: Span::from_millis(least),
            most: Span::from_millis(most),
        };
        let lima = Way::of(trips.between((1, cities[1].place), (2, cities[2].place)));
        assert!(
            lima.least == lima.most && lima.least > Span::from_millis(80),
            "{lima:?}"
        );
        let expected = [ms(149, 152), ms(5, 5), lima];
        for (offer, way) in world.offers.iter().zip(&ways) {
            let city = settled[&offer.site];
            assert_eq!((offer.place, *way), (cities[city].place, expected[city]));
        }
        assert!(
            expected.iter().all(|way| ways.contains(way)),
            "{expected:?}"
        );
    }
}
