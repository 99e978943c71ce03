//! Constraints on a real vocabulary: followed, resumed by replay, refused when they cannot be.

use remuda_engine::choose::Rule;
use remuda_engine::decoder::Ticket;
use remuda_engine::{Config, Request};
use remuda_tokens::constraint::Error;
use remuda_types::Constraint;
use remuda_wire::infer::EndReason;

use crate::fixture::{Record, SAMPLED, config, decoder, model, prompt, request, run};

const CITY: &str = r#"{
    "type": "object",
    "properties": {
        "city": {"type": "string", "pattern": "^[A-Za-z ]{1,12}$"},
        "people": {"type": "integer", "minimum": 0, "maximum": 99999999}
    },
    "required": ["city", "people"],
    "additionalProperties": false,
    "x-guidance": {"whitespace_flexible": false}
}"#;

fn city() -> Constraint {
    Constraint::Schema(CITY.to_owned())
}

fn asked(rule: Rule, generated: &[u32]) -> Request {
    let constraint = model().constraints().compile(&city(), generated).ok();
    assert!(constraint.is_some(), "the schema is one");
    Request {
        generated: generated.to_vec(),
        constraint,
        ..request(prompt(1), rule, 3, 60)
    }
}

fn stream(asked: Request) -> (Vec<u32>, EndReason) {
    let mut decoder = decoder(&Config {
        slots: 1,
        ..config()
    });
    let mut record = Record::default();
    decoder.admit(Ticket(0), asked, &mut record);
    run(&mut decoder, &mut record);
    (
        record.of(Ticket(0)).to_vec(),
        record.ends[&Ticket(0)].reason,
    )
}

#[test]
fn output_follows_the_schema_and_resumes_by_replay() {
    for rule in [Rule::Greedy, SAMPLED] {
        let (tokens, reason) = stream(asked(rule, &[]));
        assert_eq!(
            reason,
            EndReason::Stop,
            "the schema's end ends the generation"
        );
        let compiled = model().constraints().compile(&city(), &tokens);
        assert!(compiled.unwrap().is_complete());
        for cut in [1, tokens.len() / 2, tokens.len() - 1] {
            let (rest, reason) = stream(asked(rule, &tokens[..cut]));
            assert_eq!(rest, &tokens[cut..], "cut at {cut}");
            assert_eq!(reason, EndReason::Stop);
        }
        let (rest, reason) = stream(asked(rule, &tokens));
        assert_eq!((rest, reason), (Vec::new(), EndReason::Stop));
    }
}

#[test]
fn the_first_token_off_the_constraint_is_named() {
    let digits = model().tokenize("12a");
    let regex = Constraint::Regex("[0-9]+".to_owned());
    let refused = model().constraints().compile(&regex, &digits).map(|_| ());
    let index = digits.len() - 1;
    assert_eq!(refused, Err(Error::Strayed { index }));
}

/// Whatever recurses in the compiler meets the longest chains and the deepest nests that are let in.
#[test]
fn hostile_constraints_end_no_process() {
    let chain = |rules: usize| {
        let chained = (0..rules).map(|n| format!("r{n}: r{}\n", n + 1));
        format!(
            "start: r0\n{}r{rules}: \"a\"\n",
            chained.collect::<String>()
        )
    };
    let nested = |open: &str, core: &str, shut: &str, depth: usize| {
        format!("{}{core}{}", open.repeat(depth), shut.repeat(depth))
    };
    let hostile = [
        Constraint::Lark(chain(1_200)),
        Constraint::Lark(format!("start: {}", nested("(", "\"a\"", ")", 8_000))),
        Constraint::Lark(format!("start: {}", "\"a\" ".repeat(4_000))),
        Constraint::Lark(format!("start: {}", "\"a\"? ".repeat(3_000))),
        Constraint::Lark(format!("start: {}\"b\"", "\"a\" | ".repeat(2_600))),
        Constraint::Lark(format!("start: {}", "/a?/ ".repeat(3_000))),
        Constraint::Lark("start: start".to_owned()),
        Constraint::Lark("start: start \"a\" | \"a\"".to_owned()),
        Constraint::Lark("start: A\nA: A \"a\"".to_owned()),
        Constraint::Regex(nested("(", "a", "){1,9}", 2_000)),
        Constraint::Regex("(a{1,1000}){1,1000}".to_owned()),
        Constraint::Regex("(.*a){1,60}.*b".to_owned()),
        Constraint::Regex("a?".repeat(8_000)),
        Constraint::Schema(nested(r#"{"items":"#, "{}", "}", 5_000)),
        Constraint::Schema(nested(r#"{"anyOf":["#, "{}", "]}", 60)),
        Constraint::Schema(r##"{"$ref":"#"}"##.to_owned()),
        Constraint::Schema(r#"{"type":"array","minItems":100000,"maxItems":200000}"#.to_owned()),
    ];
    for constraint in hostile {
        let compiled = model().constraints().compile(&constraint, &[]);
        if let Ok(mut follower) = compiled {
            let mut values = vec![0.0; model().vocabulary() as usize];
            follower.mask(&mut values);
        }
    }
}
