//! What `remuda bench routing` measures, without the program, at three loads and for three seeds:
//! `cargo run --release -p remuda-sim --example routing [FILE]`.
#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::error::Error;
use std::path::Path;

use remuda_sim::serving::{Chats, Hardware, Rule, Scene, Settings, Trace, trace};

const LOADS: [u32; 3] = [30, 60, 90];

fn main() -> Result<(), Box<dyn Error>> {
    println!("load seed requests policy mean_ms p50_ms p99_ms cached times_rr times_ll");
    if let Some(file) = std::env::args().nth(1) {
        let read = trace(Path::new(&file))?;
        for load in LOADS {
            print(&read, 0, load);
        }
        return Ok(());
    }
    for seed in 1..4 {
        let drawn = Chats {
            seed,
            ..Chats::default()
        };
        let drawn = drawn.draw();
        for load in LOADS {
            print(&drawn, seed, load);
        }
    }
    Ok(())
}

fn print(trace: &Trace, seed: u64, load_percent: u32) {
    let settings = Settings {
        replicas: 4,
        hardware: Hardware::default(),
        load_percent,
    };
    let scene = Scene::new(trace, settings);
    let outcomes = Rule::all().map(|rule| (rule.name(), scene.play(rule)));
    for (name, of) in &outcomes {
        let [round_robin, least_load, _] = &outcomes;
        println!(
            "{load_percent} {seed} {} {name} {:.1} {:.1} {:.0} {:.3} {:.2} {:.2}",
            of.answered(),
            of.mean_ms(),
            of.percentile_ms(50),
            of.percentile_ms(99),
            of.cached_share(),
            of.times_better_than(&round_robin.1),
            of.times_better_than(&least_load.1),
        );
    }
}
