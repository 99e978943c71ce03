//! Batching changes no bit: the logits of a sequence depend on its tokens and on nothing else.
//!
//! Every test compares rows of logits bit for bit with those of the same request alone in a fresh
//! decoder with one thread. The pure tests of the sampler then make the tokens equal as well.

use std::collections::BTreeMap;

use remuda_engine::choose::Rule;
use remuda_engine::decoder::{Decoder, Ticket};
use remuda_engine::{Config, Request};

use crate::fixture::{Record, SAMPLED, config, decoder, prompt, request, resumed, run};

const TOKENS: u32 = 24;

/// Rows of logits by index, as bits.
type Rows = BTreeMap<u32, Vec<u32>>;

fn rows(record: &Record, ticket: Ticket) -> Rows {
    let rows = record
        .logits
        .iter()
        .filter(|((owner, _), _)| *owner == ticket);
    rows.map(|((_, index), row)| (*index, row.clone()))
        .collect()
}

/// The request alone in a fresh decoder.
fn alone(asked: &Request) -> (Vec<u32>, Rows) {
    let mut decoder = decoder(&Config {
        slots: 1,
        prefill_chunk: 256,
        ..config()
    });
    let mut record = Record::default();
    decoder.admit(Ticket(0), asked.clone(), &mut record);
    run(&mut decoder, &mut record);
    (record.of(Ticket(0)).to_vec(), rows(&record, Ticket(0)))
}

fn assert_same(expected: &Rows, got: &Rows, from: u32, what: &str) {
    let expected: Rows = expected.clone().split_off(&from);
    assert_eq!(expected.len(), got.len(), "{what}: another number of rows");
    for (index, row) in &expected {
        let differing = row.iter().zip(&got[index]).filter(|(a, b)| a != b).count();
        assert_eq!(
            differing, 0,
            "{what}: {differing} logits differ at token {index}"
        );
    }
}

/// Runs `asked` in `decoder` beside whatever is there and compares from `asked.generated` on.
fn check(decoder: &mut Decoder<'_>, asked: Request, ticket: u64, expected: &Rows, what: &str) {
    let mut record = Record::default();
    let from = u32::try_from(asked.generated.len()).expect("few");
    decoder.admit(Ticket(ticket), asked, &mut record);
    run(decoder, &mut record);
    assert_same(expected, &rows(&record, Ticket(ticket)), from, what);
}

fn asked(n: usize) -> Request {
    let rule = if n.is_multiple_of(2) {
        Rule::Greedy
    } else {
        SAMPLED
    };
    request(prompt(n), rule, n as u64, TOKENS)
}

#[test]
fn alone_and_batched_with_three_others_are_bit_identical() {
    let reference: Vec<_> = (0..4).map(|n| alone(&asked(n))).collect();
    for chunk in [1, 7, 64] {
        let mut decoder = decoder(&Config {
            prefill_chunk: chunk,
            ..config()
        });
        let mut record = Record::default();
        for n in [2_u64, 0, 3, 1] {
            decoder.admit(
                Ticket(n),
                asked(usize::try_from(n).expect("small")),
                &mut record,
            );
            // The others are already decoding while this one's prompt is evaluated.
            (0..3).for_each(|_| decoder.step(&mut record));
        }
        run(&mut decoder, &mut record);
        for (n, (tokens, expected)) in (0..).zip(&reference) {
            let what = format!("prompt {n} batched, chunk {chunk}");
            assert_same(expected, &rows(&record, Ticket(n)), 0, &what);
            assert_eq!(record.of(Ticket(n)), tokens, "{what}");
        }
    }
}

#[test]
fn chunks_of_the_prompt_and_threads_change_no_bit() {
    let asked = asked(3);
    let (_, expected) = alone(&asked);
    for (chunk, threads) in [(1, 1), (8, 1), (13, 2), (32, 2), (512, 2)] {
        let config = Config {
            slots: 2,
            prefill_chunk: chunk,
            threads,
            ..config()
        };
        let what = format!("chunk {chunk}, {threads} threads");
        check(&mut decoder(&config), asked.clone(), 0, &expected, &what);
    }
}

#[test]
fn resumed_anywhere_is_bit_identical() {
    let asked = asked(1);
    let (tokens, expected) = alone(&asked);
    let mut decoder = decoder(&Config {
        prefill_chunk: 11,
        ..config()
    });
    for cut in [1, 5, 6, 16, 23] {
        let other = Request {
            seed: 99,
            ..resumed(&asked, &[])
        };
        let mut ignored = Record::default();
        decoder.admit(Ticket(1000), other, &mut ignored);
        check(
            &mut decoder,
            resumed(&asked, &tokens[..cut]),
            1,
            &expected,
            &format!("cut at {cut}"),
        );
    }
}

#[test]
fn a_cached_prefix_is_bit_identical_and_reported() {
    let asked = asked(3);
    let (tokens, expected) = alone(&asked);
    let mut decoder = decoder(&Config {
        slots: 2,
        prefill_chunk: 9,
        ..config()
    });
    let mut record = Record::default();
    let mut shorter = request(asked.prompt[..40].to_vec(), SAMPLED, 5, 8);
    decoder.admit(Ticket(0), shorter.clone(), &mut record);
    run(&mut decoder, &mut record);
    for (ticket, cut, cached) in [(1, 0, 40), (2, 9, asked.prompt.len())] {
        let mut record = Record::default();
        decoder.admit(Ticket(ticket), resumed(&asked, &tokens[..cut]), &mut record);
        run(&mut decoder, &mut record);
        assert_same(
            &expected,
            &rows(&record, Ticket(ticket)),
            u32::try_from(cut).expect("few"),
            "cached",
        );
        assert_eq!(record.ends[&Ticket(ticket)].cached_tokens as usize, cached);
    }
    // And back: the slot's longer cache is cut to the shorter prompt.
    shorter.prompt.truncate(17);
    let (_, expected) = alone(&shorter);
    check(&mut decoder, shorter, 3, &expected, "cut back");
}

#[test]
fn a_cache_left_by_a_cancelled_request_is_bit_identical() {
    let asked = asked(3);
    let (_, expected) = alone(&asked);
    for steps in [1, 3, 20] {
        let mut decoder = decoder(&Config {
            slots: 1,
            prefill_chunk: 16,
            ..config()
        });
        let mut ignored = Record::default();
        decoder.admit(
            Ticket(0),
            Request {
                seed: 77,
                ..asked.clone()
            },
            &mut ignored,
        );
        (0..steps).for_each(|_| decoder.step(&mut ignored));
        decoder.cancel(Ticket(0));
        assert_eq!(decoder.active(), 0);
        let what = format!("cancelled after {steps} steps");
        check(&mut decoder, asked.clone(), 1, &expected, &what);
        assert!(decoder.tally().cached > 0, "{what}: nothing was reused");
    }
}

#[test]
fn contexts_of_several_hundred_tokens_are_bit_identical() {
    let mut long = prompt(3);
    while long.len() < 290 {
        long.extend(prompt(0));
    }
    // Across 256 cells llama.cpp's graph is made anew; 4 slots of unlike lengths share it.
    let asked = request(long, SAMPLED, 4, 6);
    let (_, expected) = alone(&asked);
    let mut decoder = decoder(&Config {
        prefill_chunk: 61,
        ..config()
    });
    let mut record = Record::default();
    decoder.admit(
        Ticket(0),
        request(prompt(0), Rule::Greedy, 0, 60),
        &mut record,
    );
    check(&mut decoder, asked, 1, &expected, "long beside short");
}
