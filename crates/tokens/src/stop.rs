//! Stop sequences in a stream of text.

/// Most stop sequences of one request.
pub const MAX_STOPS: usize = 64;
/// Longest stop sequence in bytes.
pub const MAX_STOP_BYTES: usize = 4_096;

/// Why a list of stop sequences was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More than [`MAX_STOPS`].
    #[error("{found} stop sequences, over the limit of {MAX_STOPS}")]
    TooMany {
        /// How many were given.
        found: usize,
    },
    /// Longer than [`MAX_STOP_BYTES`].
    #[error("stop sequence {index} has {found} bytes, over the limit of {MAX_STOP_BYTES}")]
    TooLong {
        /// Which, from 0.
        index: usize,
        /// Its length in bytes.
        found: usize,
    },
    /// An empty sequence would stop everything.
    #[error("stop sequence {index} is empty: leave it out")]
    Empty {
        /// Which, from 0.
        index: usize,
    },
}

/// What a piece of text led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// No stop sequence yet; this much may be shown.
    Go(String),
    /// A stop sequence is complete; this much may be shown before it, and nothing after.
    Stop {
        /// The last text.
        text: String,
        /// Which stop sequence, from 0.
        stop: usize,
    },
}

/// Looks for stop sequences in text that comes in pieces, and holds back what may still become one.
///
/// The sequence that is complete first wins; of two complete at the same character, the longer. So the
/// outcome does not depend on how the text was cut.
#[derive(Clone, Debug, Default)]
pub struct StopMatcher {
    stops: Vec<String>,
    held: String,
    stopped: bool,
}

impl StopMatcher {
    /// A matcher for these sequences; none is allowed and holds nothing back.
    pub fn new(stops: Vec<String>) -> Result<Self, Error> {
        if stops.len() > MAX_STOPS {
            return Err(Error::TooMany { found: stops.len() });
        }
        for (index, stop) in stops.iter().enumerate() {
            match stop.len() {
                0 => return Err(Error::Empty { index }),
                found if found > MAX_STOP_BYTES => return Err(Error::TooLong { index, found }),
                _ => {}
            }
        }
        Ok(Self {
            stops,
            held: String::new(),
            stopped: false,
        })
    }

    /// Takes more text. After a [`Step::Stop`] everything is swallowed.
    pub fn push(&mut self, text: &str) -> Step {
        if self.stopped {
            return Step::Go(String::new());
        }
        self.held.push_str(text);
        match self.first_match() {
            Some((start, stop)) => self.stop_at(start, stop),
            None => Step::Go(self.release()),
        }
    }

    /// Ends the text: what was held back is text after all.
    pub fn finish(self) -> String {
        self.held
    }

    /// The match that ends first, and of those the longest: its start and which stop it is.
    fn first_match(&self) -> Option<(usize, usize)> {
        let ends = self
            .stops
            .iter()
            .enumerate()
            .filter_map(|(stop, sequence)| {
                self.held
                    .find(sequence)
                    .map(|start| (start + sequence.len(), start, stop))
            });
        ends.min().map(|(_, start, stop)| (start, stop))
    }

    fn stop_at(&mut self, start: usize, stop: usize) -> Step {
        self.stopped = true;
        let mut text = std::mem::take(&mut self.held);
        text.truncate(start);
        Step::Stop { text, stop }
    }

    /// All but the longest end of the held text that begins some stop sequence.
    fn release(&mut self) -> String {
        let keep = self
            .stops
            .iter()
            .map(|stop| overlap(&self.held, stop))
            .max()
            .unwrap_or(0);
        let tail = self.held.split_off(self.held.len() - keep);
        std::mem::replace(&mut self.held, tail)
    }
}

/// The length of the longest end of `text` that is a beginning of `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let longest = text.len().min(stop.len());
    (1..=longest)
        .rev()
        .find(|length| {
            text.as_bytes().ends_with(&stop.as_bytes()[..*length]) && stop.is_char_boundary(*length)
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Character by character: stop at the first end of any sequence, the longest of those.
    fn naive(stops: &[String], text: &str) -> (String, Option<usize>) {
        for end in 1..=text.len() {
            let Some(so_far) = text.get(..end) else {
                continue;
            };
            let ending = stops
                .iter()
                .enumerate()
                .filter(|(_, stop)| so_far.ends_with(stop.as_str()));
            let best = ending.min_by_key(|(index, stop)| (std::cmp::Reverse(stop.len()), *index));
            if let Some((index, stop)) = best {
                return (so_far[..end - stop.len()].to_owned(), Some(index));
            }
        }
        (text.to_owned(), None)
    }

    fn run(stops: &[String], pieces: &[String]) -> (String, Option<usize>) {
        let mut matcher = StopMatcher::new(stops.to_vec()).unwrap();
        let mut shown = String::new();
        for piece in pieces {
            match matcher.push(piece) {
                Step::Go(text) => shown.push_str(&text),
                Step::Stop { text, stop } => return (shown + &text, Some(stop)),
            }
        }
        (shown + &matcher.finish(), None)
    }

    #[test]
    fn what_may_become_a_stop_is_held_back() {
        let mut matcher = StopMatcher::new(vec!["\nUser:".to_owned()]).unwrap();
        assert_eq!(matcher.push("hi\nUs"), Step::Go("hi".to_owned()));
        assert_eq!(matcher.push("e it"), Step::Go("\nUse it".to_owned()));
        assert_eq!(
            matcher.push("\nUser: x"),
            Step::Stop {
                text: String::new(),
                stop: 0
            }
        );
        assert_eq!(matcher.push("more"), Step::Go(String::new()));
    }

    #[test]
    fn limits_are_refused_with_their_place() {
        assert_eq!(
            StopMatcher::new(vec![String::new()]).err(),
            Some(Error::Empty { index: 0 })
        );
        let long = vec!["a".to_owned(), "b".repeat(MAX_STOP_BYTES + 1)];
        let too_long = Error::TooLong {
            index: 1,
            found: MAX_STOP_BYTES + 1,
        };
        assert_eq!(StopMatcher::new(long).err(), Some(too_long));
        let many = vec!["a".to_owned(); MAX_STOPS + 1];
        assert_eq!(
            StopMatcher::new(many).err(),
            Some(Error::TooMany {
                found: MAX_STOPS + 1
            })
        );
    }

    proptest! {
        #[test]
        fn agrees_with_naive_search(
            stops in proptest::collection::vec("[ab\u{e9}]{1,4}", 0..4),
            pieces in proptest::collection::vec("[abc\u{e9}]{0,4}", 0..12),
        ) {
            prop_assert_eq!(run(&stops, &pieces), naive(&stops, &pieces.concat()));
        }
    }
}
