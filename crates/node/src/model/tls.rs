//! The HTTP client: which certificates are believed.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::BuilderVerifierExt;

/// How long a server may take to accept a connection, and to send the next byte.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const NEXT_BYTE_WITHIN: Duration = Duration::from_secs(30);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The client cannot be made.
    #[error("the HTTP client cannot be made")]
    Client(#[from] reqwest::Error),
}

/// A client that believes the machine's own certificate authorities. A machine that has none can
/// still fetch over plain HTTP: content is checked by its digest, not by who sent it.
pub(crate) fn client() -> Result<reqwest::Client, Error> {
    let provider = Arc::new(ring::default_provider());
    let tls = match builder(&provider)?.with_platform_verifier() {
        Ok(verified) => verified.with_no_client_auth(),
        Err(error) => {
            tracing::warn!(%error, "https does not work here: install the machine's CA certificates");
            builder(&provider)?
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth()
        }
    };
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT_WITHIN)
        .read_timeout(NEXT_BYTE_WITHIN)
        .build()?;
    Ok(client)
}

fn builder(
    provider: &Arc<CryptoProvider>,
) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, rustls::Error> {
    ClientConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions()
}
