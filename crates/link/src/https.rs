//! HTTP clients, and which certificates they believe.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::BuilderVerifierExt;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The client cannot be made.
    #[error("the HTTP client cannot be made")]
    Client(#[from] reqwest::Error),
}

/// Finishes a client that believes the machine's own certificate authorities. Where there are none,
/// nobody is believed and plain HTTP still works.
pub fn client(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, ClientError> {
    Ok(builder.tls_backend_preconfigured(tls()?).build()?)
}

fn tls() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let config = match builder(&provider)?.with_platform_verifier() {
        Ok(verified) => verified,
        Err(error) => {
            tracing::warn!(%error, "https does not work here: install the machine's CA certificates");
            builder(&provider)?.with_root_certificates(RootCertStore::empty())
        }
    };
    Ok(config.with_no_client_auth())
}

fn builder(
    provider: &Arc<CryptoProvider>,
) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, rustls::Error> {
    ClientConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions()
}

#[cfg(test)]
mod tests {
    #[test]
    fn there_is_a_client_on_every_machine() {
        assert!(super::client(reqwest::Client::builder()).is_ok());
    }
}
