//! What placement is asked for what a tenant wants.

use remuda_placement::{Request, RequestError, Spread};
use remuda_types::Together;

use crate::state::Terms;

impl Terms {
    /// What placement is asked for replicas of these terms, when there are no others.
    pub fn request(&self) -> Result<Request, RequestError> {
        let spreads = self.tier.spreads_owners();
        if spreads && self.together == Together::Fabric {
            return Err(RequestError::FabricAndSpread);
        }
        let mut request = Request::new(self.shape)?;
        request.classes.clone_from(&self.classes);
        request.countries.clone_from(&self.countries);
        request.max_price = self.max_price;
        request.near = self.near;
        request.spread = Spread {
            owners: spreads,
            sites: spreads,
        };
        request.together = self.together;
        Ok(request)
    }
}
