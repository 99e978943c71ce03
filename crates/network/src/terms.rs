//! What placement is asked for what a tenant wants, and how many of its replicas an owner and a site
//! may have.

use std::num::NonZeroU32;

use remuda_placement::{Request, RequestError, Siblings, Spread};
use remuda_types::{ProviderId, ReplicaId, Share, SiteId, Together};

use crate::refusal::Refusal;
use crate::state::Terms;

impl Terms {
    /// What placement is asked for replicas of these terms, so many in all, when there are no
    /// others.
    pub fn request(&self, replicas: u32) -> Result<Request, RequestError> {
        let spread = self.spread(replicas);
        if spread != Spread::default() && self.together == Together::Fabric {
            return Err(RequestError::FabricAndSpread);
        }
        let mut request = Request::new(self.shape)?;
        request.classes.clone_from(&self.classes);
        request.countries.clone_from(&self.countries);
        request.max_price = self.max_price;
        request.near = self.near;
        request.spread = spread;
        let most = Share::of_percent(self.tier.max_share_percent()).ok();
        request.spread_max = most.map(|most| most.of(replicas));
        request.together = self.together;
        Ok(request)
    }

    /// How many of so many replicas an owner and a site may have: the share that the terms say, and
    /// without one what the tier does.
    ///
    /// With fewer replicas they may have fewer. Who has more then keeps them; it gets no other.
    pub fn spread(&self, replicas: u32) -> Spread {
        self.spread_by(replicas, Share::of)
    }

    /// What a replica that has lost its place may be given where nothing else is left: the tier's
    /// share rounded up. A workload that shrank by one would else wait for ever beside owners that
    /// have what they had before. A share that the terms say is kept to.
    pub(crate) fn spread_at_most(&self, replicas: u32) -> Spread {
        self.spread_by(replicas, Share::of_rounded_up)
    }

    fn spread_by(&self, replicas: u32, of_tier: fn(Share, u32) -> NonZeroU32) -> Spread {
        let by_tier = self.tier.share().map(|share| of_tier(share, replicas));
        let most = |share: Option<Share>| share.map(|share| share.of(replicas)).or(by_tier);
        Spread {
            per_owner: most(self.max_owner_share),
            per_site: most(self.max_site_share),
        }
    }

    /// Refuses shares with which the tier's promise would rest on one owner or site.
    pub(crate) fn check_shares(&self) -> Result<(), Refusal> {
        let shares = [
            ("max_owner_share_pct", self.max_owner_share),
            ("max_site_share_pct", self.max_site_share),
        ];
        let most = self.tier.max_share_percent();
        for (field, share) in shares {
            if let Some(share) = share.filter(|share| share.percent() > most) {
                let problem = format!(
                    "{share}: the tier {} is kept by two owners and sites at least: ask for at \
                     most {most}, or choose another tier",
                    self.tier
                );
                return Err(Refusal::Invalid { field, problem });
            }
        }
        Ok(())
    }
}

/// How many replicas owners and sites have. One that moves is counted where it is and where it goes,
/// but once where both are the same.
pub(crate) fn siblings(homes: impl Iterator<Item = (ReplicaId, (ProviderId, SiteId))>) -> Siblings {
    let (mut owners, mut sites) = (Vec::new(), Vec::new());
    for (replica, (owner, site)) in homes {
        owners.push((owner, replica));
        sites.push((site, replica));
    }
    Siblings {
        owners: count(owners).collect(),
        sites: count(sites).collect(),
    }
}

fn count<K: Copy + Ord>(mut homes: Vec<(K, ReplicaId)>) -> impl Iterator<Item = (K, u32)> {
    homes.sort_unstable();
    homes.dedup();
    let mut homes = homes.into_iter().map(|(home, _)| home).peekable();
    std::iter::from_fn(move || {
        let home = homes.next()?;
        let mut replicas = 1_u32;
        while homes.next_if_eq(&home).is_some() {
            replicas = replicas.saturating_add(1);
        }
        Some((home, replicas))
    })
}
