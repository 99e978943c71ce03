//! The fleet is told which sites fail together, as the state has learned it.

use std::collections::BTreeMap;

use remuda_types::SiteId;

use super::Index;
use crate::state::State;

impl Index {
    /// Follows a failure of the site, which the state has learned from.
    pub(super) fn learn(&mut self, state: &State, site: SiteId) {
        // Where something was forgotten, more has changed than what the site is part of.
        if self.kin_cuts != state.kinship.cuts() {
            self.learn_all(state);
            return;
        }
        let rule = state.policy.kin.rule();
        self.fleet
            .now()
            .set_kin(site, state.kinship.kin_of(site, rule));
    }

    /// Tells the fleet all that is known.
    pub(super) fn learn_all(&mut self, state: &State) {
        let mut kin: BTreeMap<SiteId, Vec<SiteId>> = BTreeMap::new();
        for (one, other) in state.kinship.kin(state.policy.kin.rule()) {
            kin.entry(one).or_default().push(other);
            kin.entry(other).or_default().push(one);
        }
        self.fleet.now().forget_kin();
        for (site, kin) in kin {
            self.fleet.now().set_kin(site, kin);
        }
        self.kin_cuts = state.kinship.cuts();
    }
}
