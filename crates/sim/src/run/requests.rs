//! When requests come and how long they are: drawn, or as a trace has it.

use remuda_types::{Span, Time};

use super::dice::Dice;
use crate::requests::Requests;
use crate::scenario;

/// Half of the requests have a shorter prompt, and half a shorter answer.
const CONTEXT: u64 = 300;
const GENERATED: u64 = 60;
/// No request is longer.
const CONTEXT_MAX: u64 = 8_000;
const GENERATED_MAX: u64 = 1_000;

/// What a client wants of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Tokens of the prompt.
    pub(crate) context: u32,
    /// Tokens that the model will write.
    pub(crate) generated: u32,
    /// The most that are asked for.
    pub(crate) most: u32,
}

/// When requests come.
#[derive(Debug)]
pub(crate) enum Arrivals {
    Drawn(Option<Span>),
    /// One after another; when the trace is over it begins anew.
    Traced {
        trace: Requests,
        /// The one that comes next.
        next: usize,
        /// When the trace began.
        began: Time,
    },
}

impl Arrivals {
    pub(crate) fn new(wanted: &scenario::Gateways, trace: Option<Requests>, now: Time) -> Self {
        match trace {
            Some(trace) => Self::Traced {
                trace,
                next: 0,
                began: now,
            },
            None => Self::Drawn(wanted.mean()),
        }
    }

    /// When the next comes.
    pub(crate) fn next(&self, dice: &mut Dice, now: Time) -> Option<Time> {
        match self {
            Self::Drawn(mean) => Some(now + dice.wait((*mean)?)),
            Self::Traced { trace, next, began } => Some(*began + trace.all()[*next].after),
        }
    }

    /// What it wants.
    pub(crate) fn take(&mut self, dice: &mut Dice) -> Wish {
        match self {
            Self::Drawn(_) => {
                let mut drawn = |median, sigma, most: u64| {
                    let count = dice.around(Span::from_millis(median), sigma).as_millis();
                    u32::try_from(count.clamp(1, most)).unwrap_or(u32::MAX)
                };
                let context = drawn(CONTEXT, 1.0, CONTEXT_MAX);
                let generated = drawn(GENERATED, 0.8, GENERATED_MAX);
                // Some ask for just what they get, most for more.
                let most = generated.max(drawn(2 * GENERATED, 0.8, GENERATED_MAX));
                Wish {
                    context,
                    generated,
                    most,
                }
            }
            Self::Traced { trace, next, began } => {
                let of = trace.all()[*next];
                *next += 1;
                if *next == trace.all().len() {
                    (*next, *began) = (0, *began + trace.length());
                }
                Wish {
                    context: of.context,
                    generated: of.generated,
                    most: of.generated,
                }
            }
        }
    }
}
