//! Which sites a class of demand may be served by: those within a round trip of its city.

use std::collections::BTreeSet;

use remuda_placement::Near;
use remuda_types::{Place, SiteId};

use super::scene::Site;
use crate::cities::{City, RoundTrips};

/// The sites within a round trip, and how a request says so.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reach {
    /// By their places in the list.
    pub(super) sites: Vec<usize>,
    pub(super) near: Option<Near>,
    /// As near, but slower to reach.
    pub(super) avoid: BTreeSet<SiteId>,
}

impl Reach {
    /// All of them.
    pub(super) fn everywhere(sites: &[Site]) -> Self {
        Self {
            sites: (0..sites.len()).collect(),
            ..Self::default()
        }
    }

    /// Those within `limit_ms` of a city. Placement knows distances: the limit becomes one, and
    /// where round trips were measured it is that of the farthest site within it, without the sites
    /// that are as near and yet slower.
    pub(super) fn within(
        limit_ms: f64,
        city: usize,
        cities: &[City],
        sites: &[Site],
        measured: &RoundTrips,
    ) -> Self {
        let from = cities[city].place;
        let ms = |site: &Site| round_trip_ms(city, from, site, measured);
        let there = sites
            .iter()
            .enumerate()
            .filter(|(_, site)| ms(site) <= limit_ms);
        let reached: Vec<usize> = there.map(|(at, _)| at).collect();
        let distances = reached.iter().map(|&at| from.distance_km(sites[at].place));
        let max_distance_km = rounded_up_km(distances.fold(0.0, f64::max));
        let near = |site: &Site| from.distance_km(site.place) <= f64::from(max_distance_km);
        let slower = sites
            .iter()
            .filter(|site| near(site) && ms(site) > limit_ms);
        Self {
            avoid: slower.map(|site| site.id).collect(),
            near: Some(Near {
                place: from,
                max_distance_km,
            }),
            sites: reached,
        }
    }
}

/// The round trip between a city and a site: as measured, or by distance.
pub(super) fn round_trip_ms(city: usize, from: Place, site: &Site, measured: &RoundTrips) -> f64 {
    let round_trip = measured.between((city, from), (site.city, site.place));
    round_trip.avg_ms
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a distance on the Earth is between 0 and 20,100 km"
)]
fn rounded_up_km(distance_km: f64) -> u32 {
    distance_km.ceil() as u32
}
