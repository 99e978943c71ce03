//! A stream whose replica dies goes on elsewhere, token for token.
//!
//! At least fifty kills: several prompts, greedy and sampled (with penalties too), at tokens drawn
//! from a seed; the survivor is alone or decodes three other requests, and has another chunk size.

use remuda_engine::choose::{Penalties, Rule};
use remuda_engine::decoder::{Decoder, Ticket};
use remuda_engine::noise::Noise;
use remuda_engine::{Config, Request};
use remuda_wire::infer::EndReason;

use crate::fixture::{Record, SAMPLED, config, decoder, prompt, request, resumed, run};

const TOKENS: u32 = 20;
const KILLS_EACH: u64 = 6;

fn rules() -> [(Rule, Penalties); 3] {
    let all = Rule::Sampled {
        temperature: 1.2,
        top_k: None,
        top_p: None,
    };
    let penalties = Penalties {
        frequency: 0.4,
        presence: 0.3,
    };
    [
        (Rule::Greedy, Penalties::default()),
        (SAMPLED, Penalties::default()),
        (all, penalties),
    ]
}

fn asked(n: usize, rule: (Rule, Penalties)) -> Request {
    Request {
        penalties: rule.1,
        ..request(prompt(n), rule.0, 31 * n as u64 + 1, TOKENS)
    }
}

/// The whole stream, uninterrupted.
fn whole(asked: &Request) -> (Vec<u32>, EndReason) {
    let mut decoder = decoder(&Config {
        slots: 1,
        prefill_chunk: 64,
        ..config()
    });
    let mut record = Record::default();
    decoder.admit(Ticket(0), asked.clone(), &mut record);
    run(&mut decoder, &mut record);
    (
        record.of(Ticket(0)).to_vec(),
        record.ends[&Ticket(0)].reason,
    )
}

fn keep_busy(decoder: &mut Decoder<'_>, others: u64, record: &mut Record) {
    for other in 0..others {
        let n = usize::try_from(other).expect("small");
        decoder.admit(
            Ticket(other),
            request(prompt(n), SAMPLED, 1000 + other, 200),
            record,
        );
    }
    (0..6).for_each(|_| decoder.step(record));
}

/// Kills at tokens drawn from the request's seed; the survivor runs `others` beside.
fn kill_and_resume(asked: &Request, others: u64, survivor: &mut Decoder<'_>) -> u64 {
    let (tokens, reason) = whole(asked);
    assert!(tokens.len() > 2, "the stream is too short to be cut");
    for kill in 0..KILLS_EACH {
        let cut =
            usize::try_from(Noise::at(asked.seed, kill).bits(0).0 % (tokens.len() as u64 - 1))
                .expect("small")
                + 1;
        let mut record = Record::default();
        keep_busy(survivor, others - survivor.active() as u64, &mut record);
        let ticket = Ticket(100 + kill);
        survivor.admit(ticket, resumed(asked, &tokens[..cut]), &mut record);
        while !record.ends.contains_key(&ticket) {
            survivor.step(&mut record);
        }
        assert_eq!(
            record.of(ticket),
            &tokens[cut..],
            "cut at {cut}, {others} others"
        );
        assert_eq!(record.ends[&ticket].reason, reason);
    }
    KILLS_EACH
}

fn kills_with(others: u64, chunk: u32) -> u64 {
    let mut survivor = decoder(&Config {
        prefill_chunk: chunk,
        ..config()
    });
    let mut kills = 0;
    for rule in rules() {
        for n in [0, 1, 3] {
            kills += kill_and_resume(&asked(n, rule), others, &mut survivor);
        }
    }
    kills
}

#[test]
fn streams_survive_kills_on_an_idle_replica() {
    assert!(kills_with(0, 64) >= 50);
}

#[test]
fn streams_survive_kills_on_a_busy_replica() {
    assert!(kills_with(3, 16) >= 50);
}
