//! Ids of commands. Clients choose them, so what it costs to make one is not control's: the entropy
//! of many is asked for at once.

use anyhow::Context as _;
use remuda_types::{CommandId, Entropy};

use crate::clock;

/// Entropy of one id, in bytes.
const EACH: usize = 10;
/// So many are made ready at once.
const AT_ONCE: usize = 1_000;

/// Ids, one after another.
#[derive(Debug, Default)]
pub(super) struct Ids {
    ready: Vec<[u8; EACH]>,
}

impl Ids {
    /// The next one, born now.
    pub(super) fn next(&mut self) -> anyhow::Result<CommandId> {
        if self.ready.is_empty() {
            let mut bytes = [0; EACH * AT_ONCE];
            getrandom::fill(&mut bytes)?;
            self.ready = bytes.as_chunks().0.to_vec();
        }
        let entropy = self.ready.pop().context("no entropy was given")?;
        Ok(CommandId::new(clock::now(), Entropy(entropy)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_id_comes_twice() {
        let mut ids = Ids::default();
        let made: BTreeSet<_> = (0..3 * AT_ONCE).map(|_| ids.next().unwrap()).collect();
        assert_eq!(made.len(), 3 * AT_ONCE);
    }
}
