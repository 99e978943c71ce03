//! Grammars: followed, resumed by replay, refused when malformed.

use remuda_engine::choose::Rule;
use remuda_engine::decoder::Ticket;
use remuda_engine::grammar::{Error, Grammar};
use remuda_engine::{Config, Request};
use remuda_wire::infer::{EndReason, RefusedReason};

use crate::fixture::{Record, SAMPLED, config, decoder, model, prompt, request, resumed, run};

const JSON: &str = r#"root ::= "{\"city\": \"" [A-Za-z ]{1,12} "\", \"people\": " [0-9]{1,8} "}""#;

fn asked(rule: Rule) -> Request {
    Request {
        grammar: Some(JSON.to_owned()),
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
fn output_follows_the_grammar_and_resumes_by_replay() {
    for rule in [Rule::Greedy, SAMPLED] {
        let (tokens, reason) = stream(asked(rule));
        assert_eq!(
            reason,
            EndReason::Stop,
            "the grammar's end ends the generation"
        );
        assert!(Grammar::compile(model(), JSON, &tokens).is_ok());
        for cut in [1, tokens.len() / 2, tokens.len() - 1] {
            let (rest, reason) = stream(resumed(&asked(rule), &tokens[..cut]));
            assert_eq!(rest, &tokens[cut..], "cut at {cut}");
            assert_eq!(reason, EndReason::Stop);
        }
    }
}

#[test]
fn what_cannot_be_followed_is_refused_and_ends_no_process() {
    let mut decoder = decoder(&Config {
        slots: 1,
        ..config()
    });
    let off = Request {
        generated: prompt(0)[..3].to_vec(),
        ..asked(Rule::Greedy)
    };
    let malformed = |text: &str| Request {
        grammar: Some(text.to_owned()),
        ..asked(Rule::Greedy)
    };
    let wrong = [
        off,
        malformed("root ::= <<<"),
        malformed("root ::= root \"a\""),
        malformed("no start"),
        malformed("root ::= \"a\0\""),
        malformed(&format!(
            "root ::= {}\"a\"{}",
            "(".repeat(100),
            ")".repeat(100)
        )),
        malformed(&"x".repeat(1 << 20)),
    ];
    for (n, request) in (0..).zip(wrong) {
        let mut record = Record::default();
        decoder.admit(Ticket(n), request, &mut record);
        let refused = record.refused.get(&Ticket(n)).map(|refused| refused.reason);
        assert_eq!(refused, Some(RefusedReason::Invalid), "request {n}");
        assert!(decoder.has_room());
    }
}

#[test]
fn the_first_token_off_the_grammar_is_named() {
    let digits = model().tokenize("12a");
    let refused = Grammar::compile(model(), "root ::= [0-9]+", &digits).map(|_| ());
    assert_eq!(
        refused,
        Err(Error::OffGrammar {
            index: digits.len() - 1
        })
    );
}
