//! Who asks: an API key, what it may do and whose things it may see.

use std::collections::BTreeSet;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use remuda_network::state::{KeyOwner, Scope};
use remuda_types::{ApiKeyId, Digest, ProjectId, ProviderId};

use super::Api;
use super::keys::word;
use super::problem::Problem;

/// A key that is valid, as a request carried it.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) key: ApiKeyId,
    pub(super) owner: KeyOwner,
    scopes: BTreeSet<Scope>,
}

/// Finds the caller, takes one request from its owner's bucket, goes on.
pub(super) async fn authenticate(
    State(api): State<Api>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match Caller::find(&api, request.headers()) {
        Ok(caller) => caller,
        Err(problem) => return challenged(problem),
    };
    let allowance = api.limits.take(caller.owner, api.app.core.clock().now());
    let mut response = if allowance.allowed {
        request.extensions_mut().insert(caller);
        next.run(request).await
    } else {
        let detail =
            "all keys of this owner together have used up their requests: go on more slowly";
        let status = StatusCode::TOO_MANY_REQUESTS;
        Problem::new(status, "rate-limited", detail)
            .retry_after(1)
            .into_response()
    };
    allowance.write(response.headers_mut());
    response
}

fn challenged(problem: Problem) -> Response {
    let mut response = problem.into_response();
    let challenge = HeaderValue::from_static("Bearer realm=\"remuda\"");
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// The text of the key that a request carries.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Caller {
    fn find(api: &Api, headers: &HeaderMap) -> Result<Self, Problem> {
        let unauthenticated =
            |detail: &str| Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail);
        let text = bearer(headers)
            .ok_or_else(|| unauthenticated("a key is needed: send `Authorization: Bearer rk_…`"))?;
        let digest = Digest::of(text.as_bytes());
        let now = api.app.core.clock().now();
        let found = api.app.core.read(|network| {
            let id = network.index().key(&digest)?;
            Some((id, network.state().keys.get(&id)?.clone()))
        });
        match found {
            Some((key, of)) if of.is_valid(now) => Ok(Self {
                key,
                owner: of.owner,
                scopes: of.scopes,
            }),
            Some((_, of)) if of.revoked.is_some() => {
                Err(unauthenticated("this key was revoked: use another"))
            }
            Some(_) => Err(unauthenticated("this key has expired: use another")),
            None => Err(unauthenticated(
                "this key is not known here: look for a slip in copying",
            )),
        }
    }

    /// Whether the key is still good; streams ask again.
    pub(super) fn is_valid(&self, api: &Api) -> bool {
        let now = api.app.core.clock().now();
        api.app.core.read(|network| {
            network
                .state()
                .keys
                .get(&self.key)
                .is_some_and(|key| key.is_valid(now))
        })
    }

    /// Refuses keys without `scope`.
    pub(super) fn needs(&self, scope: Scope) -> Result<(), Problem> {
        if self.scopes.contains(&scope) {
            return Ok(());
        }
        let has: Vec<_> = self.scopes.iter().map(|scope| word(*scope)).collect();
        let detail = format!(
            "the scope `{}` is needed, this key has {}: POST /v1/keys makes one that has it, \
             with a key that has `admin`",
            word(scope),
            has.join(", "),
        );
        Err(Problem::new(StatusCode::FORBIDDEN, "missing-scope", detail))
    }

    /// Refuses all but the operator's keys with `scope`.
    pub(super) fn needs_operator(&self, scope: Scope) -> Result<(), Problem> {
        self.needs(scope)?;
        match self.owner {
            KeyOwner::Operator => Ok(()),
            KeyOwner::Project(_) | KeyOwner::Provider(_) => {
                Err(Problem::wrong_owner("a key of the operator"))
            }
        }
    }

    /// Whether things of a project are this caller's to see.
    pub(super) fn sees_project(&self, project: ProjectId) -> bool {
        matches!(self.owner, KeyOwner::Operator) || self.owner == KeyOwner::Project(project)
    }

    /// Whether things of a provider are this caller's to see.
    pub(super) fn sees_provider(&self, provider: ProviderId) -> bool {
        matches!(self.owner, KeyOwner::Operator) || self.owner == KeyOwner::Provider(provider)
    }

    /// Things of others do not exist for a caller.
    pub(super) fn project(&self, project: ProjectId) -> Result<(), Problem> {
        let seen = self.sees_project(project);
        seen.then_some(())
            .ok_or_else(|| Problem::not_found("project", project))
    }

    /// As [`Caller::project`].
    pub(super) fn provider(&self, provider: ProviderId) -> Result<(), Problem> {
        let seen = self.sees_provider(provider);
        seen.then_some(())
            .ok_or_else(|| Problem::not_found("provider", provider))
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let detail = "a key is needed: send `Authorization: Bearer rk_…`";
        let missing = || Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail);
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}
