//! Continuous batching over one llama.cpp context. No threads, no channels, no clock.
//!
//! A [`Decoder`] is driven by [`Decoder::step`]: each step evaluates one batch, made of the next
//! token of every running sequence and a chunk of the prompts of new ones, and tells a [`Sink`]
//! what came out. Each slot is a llama.cpp sequence with a cache of its own.

use std::fmt;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;
use remuda_wire::infer::{End, EndReason, Refused, RefusedReason, Token};

use crate::batch::{Demand, Share, share_out};
use crate::cache::{self, Cache, Free};
use crate::choose::Chooser;
use crate::config::Config;
use crate::load;
use crate::model::Model;
use crate::request::Request;
use crate::sequence::{Next, Sequence};
use crate::settings;

/// Names a generation; a later one is higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Who is told what a step brought. After `end` or `refused` a ticket is not heard of again.
pub trait Sink {
    /// The logits that the token of `index` is chosen from.
    fn logits(&mut self, _ticket: Ticket, _index: u32, _logits: &[f32]) {}
    /// A generated token.
    fn token(&mut self, ticket: Ticket, token: Token);
    /// The generation is over.
    fn end(&mut self, ticket: Ticket, end: End);
    /// The generation cannot begin or go on here.
    fn refused(&mut self, ticket: Ticket, refused: Refused);
}

/// Sums since the decoder was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tokens generated.
    pub generated: u64,
    /// Tokens of prompts evaluated.
    pub prefilled: u64,
    /// Tokens of prompts found in a cache.
    pub cached: u64,
}

enum Slot {
    Free(Cache),
    Busy(Box<Sequence>),
}

/// Runs up to `slots` generations at once.
pub struct Decoder<'m> {
    model: &'m Model,
    context: LlamaContext<'m>,
    batch: LlamaBatch<'static>,
    slots: Vec<Slot>,
    chunk: usize,
    chooser: Chooser,
    demands: Vec<Demand>,
    shares: Vec<Share>,
    rows: Vec<(usize, i32)>,
    freed: u64,
    tally: Tally,
}

impl fmt::Debug for Decoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("active", &self.active())
            .field("slots", &self.slots.len())
            .finish_non_exhaustive()
    }
}

impl<'m> Decoder<'m> {
    /// Allocates the caches that `config` asks for.
    pub fn new(model: &'m Model, config: &Config) -> Result<Self, load::Error> {
        config.check()?;
        let context = model.context(config)?;
        Ok(Self {
            model,
            context,
            batch: LlamaBatch::new(settings::batch_tokens(config) as usize, 1),
            slots: (0..config.slots)
                .map(|_| Slot::Free(Cache::default()))
                .collect(),
            chunk: config.prefill_chunk as usize,
            chooser: Chooser::default(),
            demands: Vec::new(),
            shares: Vec::new(),
            rows: Vec::new(),
            freed: 0,
            tally: Tally::default(),
        })
    }

    /// Generations in slots.
    pub fn active(&self) -> usize {
        self.slots
            .iter()
            .filter(|slot| matches!(slot, Slot::Busy(_)))
            .count()
    }

    /// Whether [`Decoder::admit`] finds a slot.
    pub fn has_room(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot, Slot::Free(_)))
    }

    /// Sums so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Gives `request` a slot, or tells the sink why not.
    pub fn admit(&mut self, ticket: Ticket, request: Request, sink: &mut impl Sink) {
        let sequence = Sequence::new(ticket, request);
        if let Some(reason) = sequence.is_over() {
            sink.end(ticket, sequence.end(reason));
        } else if let Err(refused) = self.place(sequence) {
            sink.refused(ticket, refused);
        }
    }

    fn place(&mut self, mut sequence: Sequence) -> Result<(), Refused> {
        let Some((slot, reused)) = cache::pick(self.free_slots(), sequence.history()) else {
            return Err(refusal(RefusedReason::Busy, &"all slots are taken"));
        };
        self.keep_prefix(slot, reused)?;
        sequence.reuse(reused);
        self.tally.cached += reused as u64;
        self.slots[slot] = Slot::Busy(Box::new(sequence));
        Ok(())
    }

    fn free_slots(&self) -> impl Iterator<Item = Free<'_>> {
        let busy = |slot: usize| matches!(self.slots.get(slot), Some(Slot::Busy(_)));
        self.slots
            .iter()
            .enumerate()
            .filter_map(move |(slot, state)| match state {
                Slot::Free(cache) => {
                    let beside_busy = busy(slot + 1) || slot.checked_sub(1).is_some_and(busy);
                    Some(Free {
                        slot,
                        cache,
                        beside_busy,
                    })
                }
                Slot::Busy(_) => None,
            })
    }

    /// Empties the slot's cells from position `reused` on.
    fn keep_prefix(&mut self, slot: usize, reused: usize) -> Result<(), Refused> {
        let from = u32::try_from(reused).ok();
        self.context
            .kv_cache_seq_rm(sequence_id(slot), from, None)
            .map_err(|error| {
                self.slots[slot] = Slot::Free(Cache::default());
                refusal(RefusedReason::Broken, &error)
            })
    }

    /// Ends the generation of `ticket` without a word; its evaluated tokens stay cached.
    pub fn cancel(&mut self, ticket: Ticket) {
        let slot = self
            .slots
            .iter()
            .position(|slot| matches!(slot, Slot::Busy(sequence) if sequence.ticket == ticket));
        if let Some(slot) = slot {
            self.free(slot);
        }
    }

    /// Ends everything with `reason`.
    pub fn end_all(&mut self, reason: EndReason, sink: &mut impl Sink) {
        for slot in 0..self.slots.len() {
            if let Some(sequence) = self.free(slot) {
                sink.end(sequence.0, sequence.1.end(reason));
            }
        }
    }

    /// Frees a slot and keeps its cache; the summary of what ran there.
    fn free(&mut self, slot: usize) -> Option<(Ticket, Ending)> {
        let state = std::mem::replace(&mut self.slots[slot], Slot::Free(Cache::default()));
        self.freed += 1;
        match state {
            Slot::Busy(sequence) => {
                let ending = (sequence.ticket, Ending(sequence.end(EndReason::Stop)));
                self.slots[slot] = Slot::Free(sequence.into_cache(self.freed));
                Some(ending)
            }
            Slot::Free(cache) => {
                self.slots[slot] = Slot::Free(cache);
                None
            }
        }
    }

    /// Evaluates one batch and tells `sink` what came out. Does nothing without a generation.
    pub fn step(&mut self, sink: &mut impl Sink) {
        self.plan();
        if self.shares.is_empty() {
            return;
        }
        let decoded = self.fill().and_then(|()| {
            self.context
                .decode(&mut self.batch)
                .map_err(|error| error.to_string())
        });
        match decoded {
            Ok(()) => self.harvest(sink),
            Err(error) => self.fail(&error, sink),
        }
    }

    fn plan(&mut self) {
        self.demands.clear();
        for (slot, state) in self.slots.iter().enumerate() {
            if let Slot::Busy(sequence) = state {
                let pending = sequence.pending().len();
                self.demands.push(Demand {
                    slot,
                    arrived: sequence.ticket.0,
                    pending,
                });
            }
        }
        share_out(&mut self.demands, self.chunk, &mut self.shares);
    }

    /// Writes the shares into the batch, and notes which rows of logits will be there.
    fn fill(&mut self) -> Result<(), String> {
        self.batch.clear();
        self.rows.clear();
        for share in &self.shares {
            let Slot::Busy(sequence) = &self.slots[share.slot] else {
                continue;
            };
            let pending = sequence.pending();
            for (offset, &token) in pending[..share.tokens].iter().enumerate() {
                let last = offset + 1 == pending.len();
                let position = i32::try_from(sequence.position() + offset)
                    .map_err(|error| error.to_string())?;
                if last {
                    self.rows.push((share.slot, self.batch.n_tokens()));
                }
                self.batch
                    .add(
                        LlamaToken(token.cast_signed()),
                        position,
                        &[sequence_id(share.slot)],
                        last,
                    )
                    .map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    fn harvest(&mut self, sink: &mut impl Sink) {
        for share in &self.shares {
            if let Slot::Busy(sequence) = &mut self.slots[share.slot] {
                if sequence.prefilling() {
                    self.tally.prefilled += share.tokens as u64;
                }
                sequence.advance(share.tokens);
            }
        }
        for row in 0..self.rows.len() {
            let (slot, row) = self.rows[row];
            let Some(over) = self.choose(slot, row, sink) else {
                continue;
            };
            if let Some((ticket, ending)) = self.free(slot) {
                match over {
                    Ok(reason) => sink.end(ticket, ending.end(reason)),
                    Err(Unfollowable) => sink.refused(
                        ticket,
                        refusal(
                            RefusedReason::Invalid,
                            &"the constraint is too much to follow",
                        ),
                    ),
                }
            }
        }
    }

    /// Chooses the token of one row of logits; how the generation ended, if it did.
    fn choose(
        &mut self,
        slot: usize,
        row: i32,
        sink: &mut impl Sink,
    ) -> Option<Result<EndReason, Unfollowable>> {
        let Slot::Busy(sequence) = &mut self.slots[slot] else {
            return None;
        };
        let logits = self.context.get_logits_ith(row);
        sink.logits(sequence.ticket, sequence.index(), logits);
        match sequence.next(logits, &mut self.chooser, self.model) {
            Next::Token(token, end) => {
                self.tally.generated += 1;
                sink.token(sequence.ticket, token);
                end.map(Ok)
            }
            Next::End(reason) => Some(Ok(reason)),
            Next::Broken => Some(Err(Unfollowable)),
        }
    }

    /// After a failed batch nobody knows what the cells hold: everything is refused and emptied.
    fn fail(&mut self, error: &str, sink: &mut impl Sink) {
        tracing::error!(error, "a batch failed; all sequences are given up");
        self.context.clear_kv_cache();
        for slot in 0..self.slots.len() {
            if let Some((ticket, _)) = self.free(slot) {
                sink.refused(ticket, refusal(RefusedReason::Broken, &"the engine failed"));
            }
            self.slots[slot] = Slot::Free(Cache::default());
        }
    }
}

/// A constraint turned out to be more than can be followed.
struct Unfollowable;

/// The closing frame of a sequence that has left, but for the reason.
struct Ending(End);

impl Ending {
    fn end(&self, reason: EndReason) -> End {
        End { reason, ..self.0 }
    }
}

fn refusal(reason: RefusedReason, detail: &impl fmt::Display) -> Refused {
    Refused {
        reason,
        detail: detail.to_string(),
    }
}

/// Slots are at most `MAX_SLOTS`, and llama.cpp numbers sequences with an `i32`.
fn sequence_id(slot: usize) -> i32 {
    i32::try_from(slot).unwrap_or(i32::MAX)
}
