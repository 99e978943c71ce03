//! Traces as Mooncake publishes them (kvcache-ai/Mooncake): a line of JSON for each request, with
//! `timestamp` in milliseconds, `input_length`, `output_length`, and `hash_ids`, one for each block of
//! 512 tokens of the prompt, the last of which may be shorter. Equal ids mean equal blocks behind equal
//! blocks. What was written is not told apart from anything, so nothing begins with it.

use remuda_types::Span;
use serde_json::{Map, Value};

use super::trace::{Piece, Trace, Turn};
use crate::table::LineError;

/// Tokens in a block.
const BLOCK: u32 = 512;
/// More tokens than any model takes, or writes at once.
const TOKENS_MAX: u64 = 100_000_000;
/// The latest time: ten years.
const MILLIS_MAX: u64 = 315_360_000_000;
/// Blocks of all requests together.
const BLOCKS_MAX: usize = 50_000_000;
/// Names of what is written are above those of what is read.
const ANSWERS: u64 = 1 << 63;

/// The requests of such a file's content.
pub fn parse_mooncake(bytes: &[u8]) -> Result<Trace, LineError> {
    let mut trace = Trace::default();
    let (mut last, mut blocks) = (0, 0);
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let line = Line::parse(number, line)?;
        let turn = line.turn(ANSWERS | number, last)?;
        last = turn.opens.as_millis();
        blocks += turn.prompt.len();
        if blocks > BLOCKS_MAX {
            return Err(line.wrong("hash_ids", "a trace has at most 50,000,000 blocks"));
        }
        trace.turns.push(turn);
    }
    Ok(trace)
}

/// One line.
struct Line {
    number: u64,
    fields: Map<String, Value>,
}

impl Line {
    fn parse(number: u64, line: &[u8]) -> Result<Self, LineError> {
        let fields = serde_json::from_slice(line);
        fields
            .map(|fields| Self { number, fields })
            .map_err(|source| LineError::Json {
                line: number,
                source,
            })
    }

    fn turn(&self, answer: u64, last: u64) -> Result<Turn, LineError> {
        let at = self.whole("timestamp", 0, MILLIS_MAX)?;
        if at < last {
            let problem = "it is before that of the line above: a trace is in order";
            return Err(self.wrong("timestamp", problem));
        }
        let tokens = self.tokens("input_length", 1)?;
        Ok(Turn {
            opens: Span::from_millis(at),
            after: Span::ZERO,
            prompt: self.pieces(tokens)?,
            answer: Piece {
                name: answer,
                tokens: self.tokens("output_length", 0)?.max(1),
            },
        })
    }

    /// The prompt's blocks, as many as it has tokens for.
    fn pieces(&self, tokens: u32) -> Result<Vec<Piece>, LineError> {
        let ids = self.field("hash_ids")?.as_array();
        let ids =
            ids.ok_or_else(|| self.wrong("hash_ids", "a list of whole numbers is expected"))?;
        let blocks = tokens.div_ceil(BLOCK) as usize;
        if ids.len() != blocks {
            let problem =
                format!("{blocks} are expected: one for every 512 tokens of input_length");
            return Err(self.wrong("hash_ids", &problem));
        }
        let starts = (0..).step_by(BLOCK as usize);
        let piece = |(start, id): (u32, &Value)| {
            let name = id.as_u64().filter(|id| *id < ANSWERS);
            let name =
                name.ok_or_else(|| self.wrong("hash_ids", "a list of whole numbers is expected"))?;
            let tokens = BLOCK.min(tokens - start);
            Ok(Piece { name, tokens })
        };
        starts.zip(ids).map(piece).collect()
    }

    fn tokens(&self, name: &'static str, least: u64) -> Result<u32, LineError> {
        let tokens = self.whole(name, least, TOKENS_MAX)?;
        Ok(u32::try_from(tokens).unwrap_or(u32::MAX))
    }

    fn whole(&self, name: &'static str, least: u64, most: u64) -> Result<u64, LineError> {
        let number = self.field(name)?.as_u64();
        let within = number.filter(|number| (least..=most).contains(number));
        within.ok_or_else(|| {
            let problem = format!("a whole number from {least} to {most} is expected");
            self.wrong(name, &problem)
        })
    }

    fn field(&self, name: &'static str) -> Result<&Value, LineError> {
        let field = self.fields.get(name);
        field.ok_or_else(|| self.wrong(name, "it is missing"))
    }

    fn wrong(&self, name: &'static str, problem: &str) -> LineError {
        let said = self.fields.get(name).map(Value::to_string);
        LineError::Field {
            line: self.number,
            column: name,
            value: said.unwrap_or_default().chars().take(80).collect(),
            problem: problem.to_owned(),
        }
    }
}
