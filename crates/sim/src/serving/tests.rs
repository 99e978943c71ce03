//! The world on small traces, what its readers refuse, and what the balancer is to reach in it.

use std::collections::BTreeSet;

use proptest::prelude::*;
use remuda_routing::pick::Policy;
use remuda_types::Span;

use super::*;
use crate::requests::Traced;

fn ours() -> Rule {
    Rule::Prefix(Policy::default())
}

fn settings(load_percent: u32) -> Settings {
    Settings {
        replicas: 4,
        hardware: Hardware::default(),
        load_percent,
    }
}

fn chats(seed: u64) -> Chats {
    Chats {
        seed,
        chats: 300,
        ..Chats::default()
    }
}

/// The same lengths at the same times, and no prompt that shares anything with another.
fn unshared(trace: &Trace) -> Trace {
    let mut names = 0..;
    let mut fresh = |tokens| Piece {
        name: names.next().unwrap_or(u64::MAX),
        tokens,
    };
    let turns = trace.turns.iter().map(|turn| Turn {
        prompt: vec![fresh(turn.prompt_tokens())],
        answer: fresh(turn.answer.tokens),
        ..turn.clone()
    });
    Trace {
        turns: turns.collect(),
    }
}

/// One request after another, each of one content.
fn one_by_one(pieces: &[(u64, u32)], gap_s: u64) -> Trace {
    let turn = |(at, &(name, tokens)): (u64, &(u64, u32))| Turn {
        opens: Span::ZERO,
        after: Span::from_secs(at * gap_s),
        prompt: vec![Piece { name, tokens }],
        answer: Piece {
            name: 1_000 + at,
            tokens: 2,
        },
    };
    Trace {
        turns: (0..).zip(pieces).map(turn).collect(),
    }
}

#[test]
fn chats_are_answered_much_sooner_where_their_past_is() {
    for seed in 1..4 {
        for load in [30, 60, 90] {
            let scene = Scene::new(&chats(seed).draw(), settings(load));
            let [ours, round_robin, least_load] =
                [ours(), Rule::RoundRobin, Rule::LeastLoad].map(|rule| scene.play(rule));
            let better = [&round_robin, &least_load].map(|of| ours.times_better_than(of));
            assert!(
                better.iter().all(|times| *times >= 1.8),
                "{seed} {load} {better:?}"
            );
            assert!(ours.percentile_ms(99) < round_robin.percentile_ms(99));
            assert!(ours.cached_share() > round_robin.cached_share());
        }
    }
}

/// What no cache can help is no worse than by least load, and by no more than chance.
#[test]
fn where_nothing_is_shared_load_alone_decides() {
    for seed in 1..4 {
        for load in [30, 60, 90] {
            let scene = Scene::new(&unshared(&chats(seed).draw()), settings(load));
            let (ours, least_load) = (scene.play(ours()), scene.play(Rule::LeastLoad));
            assert_eq!((ours.cached_tokens, least_load.cached_tokens), (0, 0));
            let times = ours.times_better_than(&least_load);
            assert!(times > 0.98, "{seed} {load} {times}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_figures() {
    let play = |seed, rule| Scene::new(&chats(seed).draw(), settings(60)).play(rule);
    for rule in [ours(), Rule::RoundRobin, Rule::LeastLoad] {
        assert_eq!(play(1, rule), play(1, rule));
        assert_ne!(play(1, rule), play(2, rule));
    }
}

#[test]
fn everything_is_answered_whatever_the_rule_and_the_load() {
    for load in [30, 300] {
        let scene = Scene::new(&chats(5).draw(), settings(load));
        for rule in [ours(), Rule::RoundRobin, Rule::LeastLoad] {
            let outcome = scene.play(rule);
            assert_eq!(outcome.answered(), scene.requests(), "{}", rule.name());
        }
    }
}

#[test]
fn a_lone_prompt_takes_the_steps_that_read_it_and_what_is_cached_takes_none() {
    let scene = |replicas| {
        let trace = one_by_one(&[(1, 4_096), (1, 4_096)], 60);
        let settings = Settings {
            replicas,
            ..settings(60)
        };
        Scene::new(&trace, settings)
    };
    let one = scene(1).play(Rule::RoundRobin);
    // Two steps of 10 ms that read 2,048 tokens each; then one that reads the last token alone.
    let (cold, warm) = (20.0 + 512.0, 10.0 + 0.125);
    assert!((one.percentile_ms(99) - cold).abs() < 1e-6, "{one:?}");
    assert!((one.percentile_ms(0) - warm).abs() < 1e-6, "{one:?}");
    assert_eq!((one.prompt_tokens, one.cached_tokens), (8_192, 4_095));
    assert_eq!(scene(2).play(Rule::RoundRobin).cached_tokens, 0);
    assert_eq!(scene(2).play(ours()).cached_tokens, 4_095);
}

#[test]
fn a_cache_forgets_what_was_not_touched_for_longest() {
    let hits = |pieces: &[(u64, u32)]| {
        let hardware = Hardware {
            cache_tokens: 2_080,
            ..Hardware::default()
        };
        let settings = Settings {
            replicas: 1,
            hardware,
            load_percent: 60,
        };
        let scene = Scene::new(&one_by_one(pieces, 60), settings);
        scene.play(Rule::RoundRobin).cached_tokens
    };
    let [a, b, c] = [1, 2, 3].map(|name| (name, 1_024));
    assert_eq!(hits(&[a, b, a]), 1_023);
    assert_eq!(hits(&[a, b, c, a]), 32, "all but two blocks went for c");
    assert_eq!(hits(&[a, b, a, c, a]), 1_023 + 1_023);
}

#[test]
fn the_load_is_as_wanted() {
    let trace = unshared(&chats(1).draw());
    let last = |load| {
        let scene = Scene::new(&trace, settings(load));
        scene.jobs.last().map_or(0, |job| job.at_ns)
    };
    assert!(last(30) > last(60) && last(60) > last(90));
    let longest = trace.turns.iter().map(|turn| turn.after).max();
    assert!(
        last(10_000) / scene::MS >= longest.map_or(0, Span::as_millis),
        "thinking takes its time"
    );
}

#[test]
fn every_turn_repeats_those_before() {
    let trace = chats(3).draw();
    let opens: BTreeSet<_> = trace.turns.iter().map(|turn| turn.opens).collect();
    assert!((250..=300).contains(&opens.len()));
    let mut repeated = 0;
    for pair in trace
        .turns
        .windows(2)
        .filter(|pair| pair[1].after > Span::ZERO)
    {
        let [before, next] = pair else { continue };
        assert!(next.prompt.starts_with(&before.prompt));
        assert_eq!(next.prompt[before.prompt.len()], before.answer);
        repeated += 1;
    }
    assert!(repeated > 900, "{repeated}");
}

fn mooncake(line: &str) -> Result<Trace, String> {
    let good = r#"{"timestamp": 5, "input_length": 1024, "output_length": 9, "hash_ids": [3, 4]}"#;
    parse_mooncake(format!("{good}\n\n{line}\n").as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn lines_of_json_are_read() {
    let trace = mooncake(
        r#"{"timestamp": 27482, "input_length": 1030, "output_length": 52, "hash_ids": [3, 4, 7], "type": "chat"}"#,
    )
    .unwrap();
    let [first, second] = &trace.turns[..] else {
        panic!("{trace:?}")
    };
    assert_eq!(second.opens, Span::from_millis(27_482));
    assert_eq!((second.prompt_tokens(), second.answer.tokens), (1_030, 52));
    assert_eq!(second.prompt[..2], first.prompt);
    assert_eq!(second.prompt[2], Piece { name: 7, tokens: 6 });
    assert_ne!(first.answer.name, second.answer.name);
}

#[test]
fn a_line_that_is_wrong_is_named_with_its_field() {
    let with = |field: &str, value: &str| {
        let mut fields = vec![
            ("timestamp", "9"),
            ("input_length", "513"),
            ("output_length", "1"),
            ("hash_ids", "[1, 2]"),
        ];
        fields.retain(|(name, _)| *name != field);
        fields.push((field, value));
        let fields = fields
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"));
        mooncake(&format!("{{{}}}", fields.collect::<Vec<_>>().join(","))).unwrap_err()
    };
    for (field, value, problem) in [
        (
            "timestamp",
            "4",
            "line 3, column `timestamp`: `4`: it is before that of the line above",
        ),
        ("timestamp", "-1", "a whole number from 0 to 315360000000"),
        (
            "input_length",
            "0",
            "line 3, column `input_length`: `0`: a whole number from 1 to",
        ),
        ("input_length", "1.5", "a whole number from 1 to"),
        (
            "output_length",
            "\"9\"",
            "line 3, column `output_length`: `\"9\"`: a whole number",
        ),
        (
            "hash_ids",
            "[1]",
            "line 3, column `hash_ids`: `[1]`: 2 are expected: one for every 512",
        ),
        ("hash_ids", "[1, 2, 3]", "2 are expected"),
        ("hash_ids", "[1, -2]", "a list of whole numbers is expected"),
        ("hash_ids", "7", "a list of whole numbers is expected"),
    ] {
        let refused = with(field, value);
        assert!(refused.contains(problem), "{field}={value}: {refused}");
    }
    let missing = mooncake(r#"{"timestamp": 9}"#).unwrap_err();
    assert!(
        missing.contains("line 3, column `input_length`: ``: it is missing"),
        "{missing}"
    );
    for text in ["{", "[1]", "null", "{}{}"] {
        let refused = mooncake(text).unwrap_err();
        assert!(refused.starts_with("line 3"), "{text}: {refused}");
    }
}

#[test]
fn both_forms_of_a_trace_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        trace(&path)
    };
    let json = r#"{"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": [3]}"#;
    assert_eq!(
        file("a", &format!("\u{feff}\n{json}")).unwrap().turns.len(),
        1
    );
    let csv = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,374,44\n2023-11-16 18:15:47,374,44\n";
    let read = file("b", csv).unwrap();
    assert_eq!(read.turns.len(), 2);
    assert_ne!(
        read.turns[0].prompt, read.turns[1].prompt,
        "nothing is known to be shared"
    );
    let line = r#"{"timestamp": 0, "input_length": 1, "output_length": 99999999, "hash_ids": [3]}"#;
    let huge = file("d", &[line; 21].join("\n")).unwrap_err();
    assert!(
        huge.to_string()
            .ends_with("more than 2,000,000,000 tokens in it"),
        "{huge}"
    );
    for nothing in ["", "\n", "TIMESTAMP,ContextTokens,GeneratedTokens\n"] {
        assert!(file("c", nothing).is_err(), "{nothing:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, lines in r#"[-{}\[\]0-9:,"a-z_ \n]{0,120}"#) {
        for bytes in [&bytes[..], lines.as_bytes()] {
            let trace = parse_mooncake(bytes).unwrap_or_default();
            prop_assert!(trace.turns.is_sorted_by_key(|turn| turn.opens));
        }
    }

    /// Everybody is answered once, no sooner than it can be read, and caches give only what they hold.
    #[test]
    fn the_world_keeps_its_books(
        requests in proptest::collection::vec((0_u32..20_000, 0_u32..400, 0_u64..3_000), 1..60),
        (replicas, slots, cache_tokens, load) in (1_u32..6, 1_u32..9, 0_u32..40_000, 1_u32..400),
    ) {
        let mut after = 0;
        let traced = requests.iter().map(|&(context, generated, gap)| {
            after += gap;
            Traced { after: Span::from_millis(after), context, generated }
        });
        let trace = Trace::unshared(&traced.collect::<Vec<_>>());
        let hardware = Hardware { slots, cache_tokens, ..Hardware::default() };
        let scene = Scene::new(&trace, Settings { replicas, hardware, load_percent: load });
        let prompts: u64 = trace.turns.iter().map(|turn| u64::from(turn.prompt_tokens())).sum();
        for rule in [ours(), Rule::RoundRobin, Rule::LeastLoad] {
            let outcome = scene.play(rule);
            prop_assert_eq!(outcome.answered(), requests.len());
            prop_assert_eq!((outcome.prompt_tokens, outcome.cached_tokens), (prompts, 0));
            prop_assert!(outcome.percentile_ms(0) >= 10.0);
        }
    }
}
