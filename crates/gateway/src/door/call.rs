//! What every API does with a request before it is its own, and after.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use remuda_routing::Denied;
use remuda_routing::admission::keys::Key;
use remuda_routing::admission::rate::Allowance;
use remuda_types::{RequestId, Time, WorkloadId};

use super::answers::Answers;
use crate::gateway::Gateway;
use crate::request::{self, Ask, Refusal};

/// How an API says no, and where it names a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    pub(super) refuse: fn(&Refusal, RequestId) -> Response,
    /// For people and logs.
    pub(super) code: fn(&Refusal) -> &'static str,
    /// Beside `x-request-id`, which every answer has.
    pub(super) id_header: Option<&'static str>,
}

/// One request of a client.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) gateway: Arc<Gateway>,
    pub(super) id: RequestId,
    dialect: Dialect,
    allowance: Option<Allowance>,
    workload: Option<WorkloadId>,
}

/// A request that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) answers: Answers,
    /// Of all inputs.
    pub(super) prompt_tokens: u64,
    pub(super) at: Time,
}

impl Call {
    pub(super) fn new(gateway: Arc<Gateway>, dialect: Dialect) -> Self {
        Self {
            id: gateway.request_id(),
            gateway,
            dialect,
            allowance: None,
            workload: None,
        }
    }

    /// Whose key was sent, by either of the two headers in which clients send them.
    pub(super) fn key(&self, headers: &HeaderMap) -> Result<Key, Refusal> {
        let secret = secret(headers).ok_or(Refusal::NoKey)?;
        request::authorize(&self.gateway, secret)
    }

    /// The same, and counts a request of the key.
    pub(super) fn counted_key(&mut self, headers: &HeaderMap) -> Result<Key, Refusal> {
        let key = self.key(headers)?;
        self.allowance = request::limit(&self.gateway, &key)?;
        Ok(key)
    }

    pub(super) async fn admit(&mut self, key: &Key, ask: Ask) -> Result<Running, Refusal> {
        let started = request::admit(&self.gateway, self.id, key, ask).await?;
        self.workload = Some(started.workload);
        Ok(Running {
            answers: Answers::new(started.answers),
            prompt_tokens: started.prompt_tokens,
            at: started.at,
        })
    }

    /// The request's response, with the headers that every one has.
    pub(super) fn close(mut self, answered: Result<Response, Refusal>) -> Response {
        let mut response = answered.unwrap_or_else(|refusal| {
            // The text may repeat what the tenant sent; the code never does.
            tracing::debug!(request = %self.id, code = (self.dialect.code)(&refusal), "refused");
            self.too_often(&refusal);
            (self.dialect.refuse)(&refusal, self.id)
        });
        let status = response.status().as_u16();
        self.gateway.metrics.request(self.workload, status);
        self.mark(response.headers_mut());
        response
    }

    /// Who asks too often is told the limit as well.
    fn too_often(&mut self, refusal: &Refusal) {
        if let Refusal::Denied(Denied::Rate(often)) = refusal {
            self.allowance = Some(Allowance {
                limit: often.limit,
                remaining: 0,
                reset_after: often.reset_after,
            });
        }
    }

    fn mark(&self, headers: &mut HeaderMap) {
        let mut put = |name: &'static str, value: String| {
            // Ids and numbers are valid in headers.
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        };
        put("x-request-id", self.id.to_string());
        if let Some(name) = self.dialect.id_header {
            put(name, self.id.to_string());
        }
        if let Some(allowance) = self.allowance {
            let reset = allowance.reset_after.as_millis();
            put("x-ratelimit-limit-requests", allowance.limit.to_string());
            put(
                "x-ratelimit-remaining-requests",
                allowance.remaining.to_string(),
            );
            put("x-ratelimit-reset-requests", format!("{reset}ms"));
        }
    }
}

fn secret(headers: &HeaderMap) -> Option<&str> {
    let text = |name| headers.get(name)?.to_str().ok();
    let bearer = text(header::AUTHORIZATION.as_str()).and_then(|sent| {
        let (scheme, secret) = sent.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(secret.trim())
    });
    bearer.or_else(|| text("x-api-key").map(str::trim))
}

/// A request's id without what says that it is one: unique, for ids of other things.
pub(super) fn bare(id: RequestId) -> String {
    let text = id.to_string();
    text.split_once('_')
        .map_or(&*text, |(_, own)| own)
        .to_owned()
}
