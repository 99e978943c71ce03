//! Control itself.

use remuda_wire::api::network::{NetworkInfo, Ready};
use reqwest::Method;

use super::{ANSWER_WITHIN, Client, Error};

impl Client {
    /// The network, for those who want to join it.
    pub(crate) async fn network(&self) -> Result<NetworkInfo, Error> {
        self.get("/v1/network", &[]).await
    }

    /// Whether control can write.
    pub(crate) async fn ready(&self) -> Result<Ready, Error> {
        self.get("/v1/ready", &[]).await
    }

    /// How many gateways have a session. Control tells it in its metrics alone.
    pub(crate) async fn gateways(&self) -> Result<Option<u64>, Error> {
        let request = self.request(Method::GET, "/metrics").timeout(ANSWER_WITHIN);
        let text = self
            .send(request)
            .await?
            .text()
            .await
            .map_err(|source| self.unsent(source))?;
        Ok(gauge(&text, "remuda_gateways"))
    }
}

/// The value of a gauge without labels.
fn gauge(metrics: &str, name: &str) -> Option<u64> {
    let of = |line: &str| {
        line.strip_prefix(name)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    };
    metrics.lines().find_map(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_is_found_by_its_whole_name() {
        let metrics = "# TYPE remuda_gateways gauge\nremuda_gateways_x 7\nremuda_gateways 2\n# EOF";
        assert_eq!(gauge(metrics, "remuda_gateways"), Some(2));
        assert_eq!(gauge(metrics, "remuda_nodes"), None);
    }
}
