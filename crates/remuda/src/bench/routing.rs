//! `remuda bench routing`: how long first tokens take, by who says where requests go.

use std::path::PathBuf;

use clap::value_parser;
use remuda_sim::serving::{Chats, Hardware, Outcome, Rule, Scene, Settings, Trace, trace};
use serde::Serialize;

use crate::context::Context;
use crate::progress;
use crate::table::Table;

/// Routing: how long first tokens take by the gateway's balancer, by a round robin and by least load
///
/// Replicas are simulated: servers with continuous batching, each with a cache of prefixes. Requests
/// are those of FILE, or of chats that are drawn; their times are stretched for the load.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The requests [default: chats of several turns]
    ///
    /// Comma-separated with the columns TIMESTAMP, `ContextTokens` and `GeneratedTokens`, as Azure
    /// publishes them, so that nothing is shared; or lines of JSON with `timestamp`, `input_length`,
    /// `output_length` and `hash_ids`, as Mooncake publishes them. Plain or gzipped.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Chats that are drawn where no FILE is named
    #[arg(long, value_name = "COUNT", default_value_t = 800, conflicts_with = "trace", value_parser = value_parser!(u32).range(1..=100_000))]
    chats: u32,
    /// What chats are drawn from
    #[arg(long, default_value_t = 1, conflicts_with = "trace")]
    seed: u64,
    /// Replicas of the model
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = value_parser!(u32).range(1..=256))]
    replicas: u32,
    /// Sequences that a replica runs at once
    #[arg(long, value_name = "COUNT", default_value_t = Hardware::default().slots, value_parser = value_parser!(u32).range(1..=4_096))]
    slots: u32,
    /// Tokens that a replica's cache holds
    #[arg(long, value_name = "COUNT", default_value_t = Hardware::default().cache_tokens, value_parser = value_parser!(u32).range(0..=100_000_000))]
    cache_tokens: u32,
    /// The share of the replicas' time that the requests would take without caches
    #[arg(long, value_name = "PERCENT", default_value_t = 60, value_parser = value_parser!(u32).range(1..=1_000))]
    load: u32,
}

/// What was measured of one rule.
#[derive(Clone, Debug, Serialize)]
struct Figures {
    bench: &'static str,
    policy: &'static str,
    replicas: u32,
    slots: u32,
    cache_tokens: u32,
    load_percent: u32,
    requests: usize,
    ttft_mean_ms: f64,
    ttft_p50_ms: f64,
    ttft_p99_ms: f64,
    /// The share of the prompts' tokens that was found in a cache.
    cached_share: f64,
    times_better_than_round_robin: f64,
    times_better_than_least_load: f64,
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    let requests = args.requests()?;
    let wheel = progress::wheel(context.output, "sending requests");
    let scene = Scene::new(&requests, args.settings());
    let outcomes = Rule::all().map(|rule| (rule, scene.play(rule)));
    wheel.finish_and_clear();
    let all = outcomes
        .iter()
        .map(|(rule, outcome)| figures(*rule, outcome, &outcomes, args));
    let all: Vec<Figures> = all.collect();
    if !context.output.is_json() {
        return Ok(context.output.table(&all, |all| table(all))?);
    }
    for figures in &all {
        context.output.item(figures, |_| String::new())?;
    }
    Ok(())
}

impl Args {
    fn requests(&self) -> anyhow::Result<Trace> {
        let Some(file) = &self.trace else {
            let chats = Chats {
                seed: self.seed,
                chats: self.chats,
                ..Chats::default()
            };
            return Ok(chats.draw());
        };
        Ok(trace(file)?)
    }

    fn settings(&self) -> Settings {
        Settings {
            replicas: self.replicas,
            hardware: Hardware {
                slots: self.slots,
                cache_tokens: self.cache_tokens,
                ..Hardware::default()
            },
            load_percent: self.load,
        }
    }
}

fn figures(rule: Rule, outcome: &Outcome, all: &[(Rule, Outcome)], args: &Args) -> Figures {
    let times = |than: Rule| {
        let other = all.iter().find(|(rule, _)| *rule == than);
        other.map_or(1.0, |(_, other)| rounded(outcome.times_better_than(other)))
    };
    Figures {
        bench: "routing",
        policy: rule.name(),
        replicas: args.replicas,
        slots: args.slots,
        cache_tokens: args.cache_tokens,
        load_percent: args.load,
        requests: outcome.answered(),
        ttft_mean_ms: rounded(outcome.mean_ms()),
        ttft_p50_ms: rounded(outcome.percentile_ms(50)),
        ttft_p99_ms: rounded(outcome.percentile_ms(99)),
        cached_share: rounded(outcome.cached_share()),
        times_better_than_round_robin: times(Rule::RoundRobin),
        times_better_than_least_load: times(Rule::LeastLoad),
    }
}

/// Three digits after the point are more than the assumptions bear.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn table(all: &[Figures]) -> Table {
    let headers = [
        "POLICY",
        "FIRST TOKEN, MEAN",
        "P50",
        "P99",
        "CACHED",
        "TIMES ROUND ROBIN",
        "TIMES LEAST LOAD",
    ];
    let rows = all.iter().map(|of| {
        let ms = |ms: f64| format!("{ms:.1} ms");
        [
            of.policy.to_owned(),
            ms(of.ttft_mean_ms),
            ms(of.ttft_p50_ms),
            ms(of.ttft_p99_ms),
            format!("{:.1} %", of.cached_share * 100.0),
            format!("{:.2}", of.times_better_than_round_robin),
            format!("{:.2}", of.times_better_than_least_load),
        ]
    });
    Table::new(headers).rows(rows)
}
