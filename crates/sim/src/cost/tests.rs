//! The experiment on small made-up worlds.

use super::*;
use crate::cities::{City, RoundTrips, parse_cities, parse_round_trips};

fn cities() -> Vec<City> {
    let lines = (0..12_u32).map(|at| {
        let (north, east) = (f64::from(at % 4) * 12.0 - 20.0, f64::from(at) * 14.0 - 90.0);
        format!("c{at},{north},{east},{}\n", (at + 1) * 50_000)
    });
    let text = "city,Lat,Long,Population\n".to_owned() + &lines.collect::<String>();
    parse_cities(text.as_bytes()).unwrap()
}

fn settings(seed: u64) -> Settings {
    Settings {
        sites: 15,
        gpus: 3_000,
        seed,
        forecast_error_percent: 20,
    }
}

fn ours(scene: &Scene, solves: u64) -> Outcome {
    let mut ours = Ours::new(scene);
    for part in 0..solves {
        ours.plan().unwrap();
        ours.serve(part + 1, solves);
    }
    ours.serve(1, 1);
    let gap = ours.certified_gap();
    assert!(gap.is_none_or(|gap| gap.bound <= ours.outcome().cost));
    ours.outcome()
}

#[test]
fn plans_cost_less_than_rules_of_thumb_and_never_less_than_the_bound() {
    for seed in 1..4 {
        let scene = Scene::draw(settings(seed), &cities(), &RoundTrips::default()).unwrap();
        let plan = remuda_planner::Solver::new().solve(&scene.problem).unwrap();
        let least = remuda_planner::bound(&scene.problem, &plan.duals);
        assert_eq!(plan.cost(&scene.problem), least);
        let (planned, unplanned) = (ours(&scene, 7), ours(&scene, 0));
        let others = [unplanned, nearest(&scene), cheapest(&scene)];
        for other in others {
            assert!(planned.cost < other.cost, "{planned:?} {others:?}");
        }
        assert!(planned.cost >= least);
        assert_eq!(ours(&scene, 7), planned, "the same world, the same outcome");
    }
}

#[test]
fn where_nothing_is_expected_any_more_there_is_no_plan_to_follow() {
    let few = Settings {
        gpus: 40,
        forecast_error_percent: 100,
        ..settings(1)
    };
    let scene = Scene::draw(few, &cities(), &RoundTrips::default()).unwrap();
    let outcome = ours(&scene, 200);
    assert!(
        outcome.cost >= remuda_planner::bound(&scene.problem, &remuda_planner::Duals::default())
    );
    let mut over = Ours::new(&scene);
    over.serve(1, 1);
    assert!(over.plan().is_ok() && over.certified_gap().is_none());
}

#[test]
fn what_is_forecast_exactly_costs_no_more_than_it_must() {
    let exact = Settings {
        forecast_error_percent: 0,
        ..settings(1)
    };
    let scene = Scene::draw(exact, &cities(), &RoundTrips::default()).unwrap();
    let plan = remuda_planner::Solver::new().solve(&scene.problem).unwrap();
    assert_eq!(ours(&scene, 1).cost, plan.cost(&scene.problem));
}

#[test]
fn everything_that_is_asked_for_is_counted_and_served_within_its_limit() {
    let scene = Scene::draw(settings(5), &cities(), &RoundTrips::default()).unwrap();
    let gpus: u64 = scene.sites.iter().map(|site| site.gpus).sum();
    let asked: u64 = scene.classes.iter().map(|class| class.requests).sum();
    assert_eq!((gpus, asked), (3_000, scene.arrivals.len() as u64));
    assert!((2_400..=2_550).contains(&asked), "{asked}");
    for class in &scene.classes {
        let Some(near) = class.request.near else {
            assert_eq!(class.sites.len(), scene.sites.len());
            continue;
        };
        let suits = |site: &Site| {
            near.place.distance_km(site.place) <= f64::from(near.max_distance_km)
                && !class.request.avoid.sites.contains(&site.id)
        };
        let found = scene
            .sites
            .iter()
            .enumerate()
            .filter(|(_, site)| suits(site));
        assert!(found.map(|(at, _)| at).eq(class.sites.iter().copied()));
    }
}

#[test]
fn measured_round_trips_say_what_is_near() {
    let cities = cities();
    let slow =
        "from_city,to_city_country_continent,avg_ms\nc1,c1,101\nc2,\"c11 Anywhere, Asia\",29\n";
    let measured = parse_round_trips(slow.as_bytes(), &cities).unwrap();
    let scene = Scene::draw(settings(1), &cities, &measured).unwrap();
    let stands = |sites: &[usize], city| sites.iter().any(|&at| scene.sites[at].city == city);
    let near = |city: usize| {
        let of = |class: &&Class| {
            class
                .request
                .near
                .is_some_and(|near| near.place == cities[city].place)
        };
        scene
            .classes
            .iter()
            .find(of)
            .map(|class| class.sites.clone())
            .unwrap_or_default()
    };
    let all: Vec<usize> = (0..scene.sites.len()).collect();
    assert!(stands(&all, 1) && stands(&all, 11));
    assert!(stands(&near(2), 11), "far, and fast to reach");
    assert!(!stands(&near(1), 1), "near, and slow to reach");
    assert!(
        ours(&scene, 3).cost
            >= remuda_planner::bound(&scene.problem, &remuda_planner::Duals::default())
    );
}

#[test]
fn a_world_with_nobody_and_one_with_nothing_are_refused() {
    let mut nobody = cities();
    for city in &mut nobody {
        city.population = 0.0;
    }
    let drawn = |settings, cities: &[City]| Scene::draw(settings, cities, &RoundTrips::default());
    assert!(matches!(
        drawn(settings(1), &nobody),
        Err(SceneError::Cities)
    ));
    assert!(matches!(drawn(settings(1), &[]), Err(SceneError::Cities)));
    let nothing = Settings {
        gpus: 0,
        ..settings(1)
    };
    assert!(matches!(
        drawn(nothing, &cities()),
        Err(SceneError::Problem(_))
    ));
    let one_city = &cities()[..1];
    assert!(drawn(settings(1), one_city).is_ok());
}
