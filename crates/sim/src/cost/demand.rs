//! Who asks for what, of which sites: every city, by how many live there.

use remuda_placement::{Avoid, Request};
use remuda_types::Shape;

use super::GPU_MILLI;
use super::reach::{Reach, round_trip_ms};
use super::scene::{Class, SceneError, Site, Users};
use crate::cities::{City, RoundTrips};

/// Who asks: within so many milliseconds if that matters, and how much of all, in percent.
const TIERS: [(Option<f64>, u64); 3] = [(Some(30.0), 30), (Some(100.0), 40), (None, 30)];

/// What demand is drawn on.
pub(super) struct Ground<'a> {
    cities: &'a [City],
    sites: &'a [Site],
    measured: &'a RoundTrips,
    classes: Vec<Class>,
    users: Vec<Users>,
}

impl<'a> Ground<'a> {
    pub(super) const fn new(
        cities: &'a [City],
        sites: &'a [Site],
        measured: &'a RoundTrips,
    ) -> Self {
        Self {
            cities,
            sites,
            measured,
            classes: Vec::new(),
            users: Vec::new(),
        }
    }

    /// So many requests of all cities: the classes that they are of, and who makes them.
    pub(super) fn demand(mut self, requests: u64) -> Result<(Vec<Class>, Vec<Users>), SceneError> {
        let people: Vec<f64> = self.cities.iter().map(|city| city.population).collect();
        for (limit_ms, percent) in TIERS {
            let asked = shared(requests.saturating_mul(percent) / 100, &people);
            match limit_ms {
                Some(limit_ms) => self.ask_within(limit_ms, &asked)?,
                None => self.ask_anywhere(&asked)?,
            }
        }
        Ok((self.classes, self.users))
    }

    /// What no site is near enough to serve is left out: nobody could serve it, it would only
    /// dilute the rest.
    fn ask_within(&mut self, limit_ms: f64, asked: &[u64]) -> Result<(), SceneError> {
        for (city, &requests) in asked.iter().enumerate() {
            let reach = Reach::within(limit_ms, city, self.cities, self.sites, self.measured);
            if requests > 0 && !reach.sites.is_empty() {
                self.classes.push(class(reach)?);
                self.count(city, requests);
            }
        }
        Ok(())
    }

    /// Whoever may go anywhere is limited alike, wherever he is.
    fn ask_anywhere(&mut self, asked: &[u64]) -> Result<(), SceneError> {
        self.classes.push(class(Reach::everywhere(self.sites))?);
        for (city, &requests) in asked.iter().enumerate() {
            self.count(city, requests);
        }
        Ok(())
    }

    /// Counts requests from a city to the last class.
    fn count(&mut self, city: usize, requests: u64) {
        let Some(class) = self.classes.last_mut() else {
            return;
        };
        class.requests += requests;
        let nearest = class.sites.clone();
        let nearest = self.by_round_trip(city, nearest);
        self.users.push(Users {
            class: self.classes.len() - 1,
            nearest,
            requests,
        });
    }

    fn by_round_trip(&self, city: usize, mut sites: Vec<usize>) -> Vec<usize> {
        let from = self.cities[city].place;
        let ms = |at: usize| round_trip_ms(city, from, &self.sites[at], self.measured);
        sites.sort_by(|&one, &other| ms(one).total_cmp(&ms(other)));
        sites
    }
}

fn class(reach: Reach) -> Result<Class, SceneError> {
    let mut request = Request::new(Shape {
        gpu_milli: GPU_MILLI,
        ..Shape::default()
    })?;
    request.near = reach.near;
    request.avoid = Avoid {
        sites: reach.avoid,
        ..Avoid::default()
    };
    Ok(Class {
        request,
        sites: reach.sites,
        requests: 0,
        forecast: 0,
    })
}

/// `total` in parts of these weights: each the part of what came so far, less what was given out of
/// it, so that they add up.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a part of a number of requests far below 2^52"
)]
fn shared(total: u64, weights: &[f64]) -> Vec<u64> {
    let all: f64 = weights.iter().sum();
    let (mut so_far, mut given) = (0.0, 0);
    let part = |weight: &f64| {
        so_far += weight;
        let part = ((total as f64 * so_far / all) as u64).saturating_sub(given);
        given += part;
        part
    };
    weights.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_add_up(
            total in 0_u64..1 << 40,
            weights in proptest::collection::vec(0.001_f64..1e9, 1..40),
        ) {
            let parts = shared(total, &weights);
            let sum: u64 = parts.iter().sum();
            prop_assert!(sum.abs_diff(total) <= 1, "{sum} of {total}");
        }
    }
}
