//! Where control's iroh endpoint is, for the programs that connect to it.

use std::net::SocketAddr;
use std::str::FromStr;

use remuda_link::EndpointId;

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;

/// Control's endpoint: `KEY@ADDRESS`, further addresses after commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Control {
    /// The key that names it.
    pub(crate) endpoint: EndpointId,
    /// Where it listens (UDP).
    pub(crate) addresses: Vec<SocketAddr>,
}

impl FromStr for Control {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            "control's key, `@` and an address are expected, as in `3f…@203.0.113.7:7401`";
        let (endpoint, addresses) = text.split_once('@').ok_or(expected)?;
        let endpoint = endpoint
            .parse()
            .map_err(|error| format!("{error}: {expected}"))?;
        let addresses: Result<Vec<SocketAddr>, _> = addresses
            .split(',')
            .map(|address| address.trim().parse())
            .collect();
        let addresses = addresses.map_err(|error| format!("{error}: {expected}"))?;
        Ok(Self {
            endpoint,
            addresses,
        })
    }
}

impl Control {
    /// As it was given, or as control's HTTP API says.
    pub(crate) async fn find(given: Option<Self>, context: &Context) -> anyhow::Result<Self> {
        if let Some(given) = given {
            return Ok(given);
        }
        let network = context.client()?.network().await?;
        let endpoint = network.endpoint.parse().map_err(|error| {
            let way_out = "name it with `--control KEY@ADDRESS`";
            Failure::new(
                Exit::Internal,
                "control's endpoint is not understood",
                way_out,
            )
            .caused_by(error)
        })?;
        Ok(Self {
            endpoint,
            addresses: network.addresses,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "16771b50b951f56b750eadcd5214aed918bb3b306f0b0dce43b59795156532ce";

    proptest! {
        #[test]
        fn any_text_is_an_endpoint_or_an_error(text in "([0-9a-f]{0,64})?@?[0-9.:,]{0,20}") {
            if let Ok(control) = text.parse::<Control>() {
                prop_assert!(!control.addresses.is_empty());
            }
        }
    }

    #[test]
    fn several_addresses_are_taken() {
        let control: Control = format!("{KEY}@127.0.0.1:7401, [::1]:7401").parse().unwrap();
        assert_eq!(control.endpoint.to_string(), KEY);
        assert_eq!(control.addresses.len(), 2);
        for wrong in [
            KEY.to_owned(),
            format!("{KEY}@"),
            "x@127.0.0.1:1".to_owned(),
        ] {
            let error = wrong.parse::<Control>().unwrap_err();
            assert!(error.contains("as in `"), "{error}");
        }
    }
}
