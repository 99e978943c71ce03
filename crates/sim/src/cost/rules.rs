//! Rules of thumb: whoever comes takes the nearest, or the cheapest, of what will do and is free.

use super::{Outcome, Scene};

/// Each request goes to the site that is fastest to reach.
pub fn nearest(scene: &Scene) -> Outcome {
    let orders = scene.users.iter().map(|users| users.nearest.clone());
    first_free(scene, orders.collect())
}

/// Each request goes to the cheapest site that will do.
pub fn cheapest(scene: &Scene) -> Outcome {
    let by_price = |users: &super::Users| {
        let mut sites = users.nearest.clone();
        sites.sort_by_key(|&site| scene.sites[site].gpu_price);
        sites
    };
    first_free(scene, scene.users.iter().map(by_price).collect())
}

/// Each request goes to the first site in its users' order that has a GPU free.
fn first_free(scene: &Scene, mut orders: Vec<Vec<usize>>) -> Outcome {
    let mut free: Vec<u64> = scene.sites.iter().map(|site| site.gpus).collect();
    let mut outcome = Outcome::default();
    // Nothing leaves, so what was full once is passed for good: reversed, it comes off the end.
    for order in &mut orders {
        order.reverse();
    }
    for &users in &scene.arrivals {
        let order = &mut orders[users as usize];
        while order.pop_if(|site| free[*site] == 0).is_some() {}
        let site = order.last().copied();
        if let Some(site) = site {
            free[site] -= 1;
        }
        outcome.count(site.map(|site| scene.sites[site].gpu_price));
    }
    outcome
}
