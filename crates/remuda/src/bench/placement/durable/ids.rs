//! Ids of commands. Clients choose them, so what it costs to make one is not control's: many are made
//! ready at once, in time that is not counted.

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
    ready: Vec<CommandId>,
}

impl Ids {
    /// Makes as many ready as one batch may take, born now.
    pub(super) fn make_ready(&mut self) -> anyhow::Result<()> {
        let mut bytes = [0; EACH * AT_ONCE];
        getrandom::fill(&mut bytes)?;
        let born = clock::now();
        let each = bytes.as_chunks().0.iter();
        self.ready = each
            .map(|entropy| CommandId::new(born, Entropy(*entropy)))
            .collect();
        Ok(())
    }

    /// The next one.
    pub(super) fn next(&mut self) -> anyhow::Result<CommandId> {
        if self.ready.is_empty() {
            self.make_ready()?;
        }
        self.ready.pop().context("no id was made ready")
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
