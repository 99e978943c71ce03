//! API keys. Control keeps a digest of each; its text is shown once.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use data_encoding::BASE32_NOPAD;
use remuda_network::Command;
use remuda_network::command::IssueKey as IssueKeyCommand;
use remuda_network::state::{ApiKey as State_, KeyOwner, Scope};
use remuda_types::{ApiKeyId, CommandId, Digest, Span};
use remuda_wire::api::key::{ApiKey, IssueKey, IssuedKey, Owner, Scope as ApiScope};
use remuda_wire::api::{Page, PageQuery};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::act::Act;
use super::auth::Caller;
use super::body::{Body, Id, Params};
use super::labels::ISSUED_KEY;
use super::once::{Once, Promise};
use super::page::{self, Window};
use super::problem::Problem;
use super::thing::Thing;
use crate::clock;
use crate::vault::OPERATOR;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(issue, list))
        .routes(routes!(revoke))
}

/// A key that was just made.
#[derive(Clone, PartialEq, Eq)]
pub struct Minted {
    /// Its text: `rk_`, eight characters of its id, `_`, 256 bits in base 32.
    pub text: String,
    /// What control keeps of it.
    pub digest: Digest,
    /// How its text begins.
    pub prefix: String,
}

impl std::fmt::Debug for Minted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Minted")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Makes the key that `command` is to issue.
pub fn mint(command: CommandId) -> Minted {
    compose(ApiKeyId::derived(command, 0), &clock::secret())
}

fn compose(id: ApiKeyId, secret: &[u8; 32]) -> Minted {
    let prefix = prefix(id);
    let text = format!(
        "{prefix}_{}",
        BASE32_NOPAD.encode(secret).to_ascii_lowercase()
    );
    Minted {
        digest: Digest::of(text.as_bytes()),
        text,
        prefix,
    }
}

/// How a key's text begins: from its id, so that a text found somewhere names its key.
fn prefix(id: ApiKeyId) -> String {
    let id = id.to_string();
    let tail = id.len().saturating_sub(8);
    format!("rk_{}", id.get(tail..).unwrap_or_default())
}

/// The key of a request under an `Idempotency-Key`: made again for a repeat and kept nowhere, from
/// what only the client has, what only control has, and the key's id.
fn mint_again(api: &Api, id: ApiKeyId, promise: &Promise) -> Minted {
    let vault = api.app.core.vault();
    let label = |half: char| vault.label(OPERATOR, ISSUED_KEY, &format!("{id}{half}")).0;
    let of_control = [label('a'), label('b')].concat();
    let material = [&promise.seed()[..], &of_control].concat();
    compose(id, &blake3::derive_key("remuda issued key v1", &material))
}

/// The word of the API for a scope.
pub(super) const fn word(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "read",
        Scope::Deploy => "deploy",
        Scope::Inference => "inference",
        Scope::Supply => "supply",
        Scope::Admin => "admin",
    }
}

const fn scope(scope: ApiScope) -> Scope {
    match scope {
        ApiScope::Read => Scope::Read,
        ApiScope::Deploy => Scope::Deploy,
        ApiScope::Inference => Scope::Inference,
        ApiScope::Supply => Scope::Supply,
        ApiScope::Admin => Scope::Admin,
    }
}

const fn api_scope(scope: Scope) -> ApiScope {
    match scope {
        Scope::Read => ApiScope::Read,
        Scope::Deploy => ApiScope::Deploy,
        Scope::Inference => ApiScope::Inference,
        Scope::Supply => ApiScope::Supply,
        Scope::Admin => ApiScope::Admin,
    }
}

const fn owner(owner: Owner) -> KeyOwner {
    match owner {
        Owner::Operator => KeyOwner::Operator,
        Owner::Project(project) => KeyOwner::Project(project),
        Owner::Provider(provider) => KeyOwner::Provider(provider),
    }
}

const fn api_owner(owner: KeyOwner) -> Owner {
    match owner {
        KeyOwner::Operator => Owner::Operator,
        KeyOwner::Project(project) => Owner::Project(project),
        KeyOwner::Provider(provider) => Owner::Provider(provider),
    }
}

fn view(id: ApiKeyId, key: &State_) -> ApiKey {
    ApiKey {
        id,
        prefix: prefix(id),
        owner: api_owner(key.owner),
        scopes: key.scopes.iter().copied().map(api_scope).collect(),
        created_ms: key.created.as_millis(),
        expires_ms: key.expires.map(remuda_types::Time::as_millis),
        revoked_ms: key.revoked.map(remuda_types::Time::as_millis),
        requests_per_minute: key.requests_per_minute,
    }
}

/// A key with its text, for the client whose request made it.
pub(super) fn issued(api: &Api, id: ApiKeyId, promise: Option<&Promise>) -> Option<IssuedKey> {
    let minted = mint_again(api, id, promise?);
    with_secret(api, id, minted)
}

fn with_secret(api: &Api, id: ApiKeyId, minted: Minted) -> Option<IssuedKey> {
    let key = api
        .app
        .core
        .read(|network| network.state().keys.get(&id).map(|key| view(id, key)))?;
    Some(IssuedKey {
        key,
        secret: minted.text,
    })
}

/// Whose the key is to be: the operator makes keys for all, others for themselves.
fn new_owner(caller: &Caller, asked: Option<Owner>) -> Result<KeyOwner, Problem> {
    let asked = asked.map_or(caller.owner, owner);
    if caller.owner == KeyOwner::Operator || caller.owner == asked {
        return Ok(asked);
    }
    Err(Problem::wrong_owner(
        "a key of that owner, or of the operator,",
    ))
}

/// Issues a key; its text is in this answer and nowhere else. Scope `admin`.
#[utoipa::path(post, path = "/v1/keys", tag = "keys", security(("key" = [])),
    request_body = IssueKey, responses((status = 201, body = IssuedKey)))]
async fn issue(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Body(asked): Body<IssueKey>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Admin)?;
    let owner = new_owner(&caller, asked.owner)?;
    let mut act = Act::new(&api, once);
    let id = ApiKeyId::derived(act.id(), 0);
    let minted = match act.once().promise().cloned() {
        Some(promise) => {
            // Has the operator's sealing key written, without which the secret could not be made again.
            act.seal(OPERATOR, ISSUED_KEY, &id.to_string());
            mint_again(&api, id, &promise)
        }
        None => mint(act.id()),
    };
    let lasts = asked.expires_in_s.map(Span::from_secs);
    let command = Command::IssueKey(Box::new(IssueKeyCommand {
        owner,
        digest: minted.digest,
        scopes: asked.scopes.into_iter().map(scope).collect(),
        expires: lasts.map(|lasts| api.app.core.clock().now() + lasts),
        requests_per_minute: asked.requests_per_minute,
    }));
    act.commit(command, StatusCode::CREATED, &Thing::Key(id))
        .await?;
    let issued = with_secret(&api, id, minted).ok_or_else(|| Problem::not_found("API key", id))?;
    Ok((StatusCode::CREATED, Json(issued)).into_response())
}

/// Keys of the asking key's owner; the operator sees all. Scope `read`.
#[utoipa::path(get, path = "/v1/keys", tag = "keys", security(("key" = [])),
    params(PageQuery), responses((status = 200, body = Page<ApiKey>)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<Page<ApiKey>>, Problem> {
    caller.needs(Scope::Read)?;
    let window = Window::of(&query)?;
    Ok(Json(api.app.core.read(|network| {
        page::of_map(&network.state().keys, &window, |id, key| {
            sees(&caller, key.owner).then(|| view(id, key))
        })
    })))
}

fn sees(caller: &Caller, owner: KeyOwner) -> bool {
    caller.owner == KeyOwner::Operator || caller.owner == owner
}

/// Revokes a key. Scope `admin`.
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "keys", security(("key" = [])),
    params(("id" = String, Path, description = "The key's id, not its text")),
    responses((status = 204)))]
async fn revoke(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Id(key): Id<ApiKeyId>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Admin)?;
    let owner = api
        .app
        .core
        .read(|network| network.state().keys.get(&key).map(|key| key.owner));
    owner
        .filter(|owner| sees(&caller, *owner))
        .ok_or_else(|| Problem::not_found("API key", key))?;
    let act = Act::new(&api, once);
    act.answer(
        Command::RevokeKey { key },
        StatusCode::NO_CONTENT,
        Thing::Nothing,
    )
    .await
}

#[cfg(test)]
mod tests {
    use remuda_types::{Entropy, Time};

    use super::*;

    #[test]
    fn a_minted_key_names_its_id_and_has_256_bits() {
        let command = CommandId::new(Time::from_millis(5), Entropy([7; 10]));
        let minted = mint(command);
        let id = ApiKeyId::derived(command, 0).to_string();
        let parts: Vec<_> = minted.text.split('_').collect();
        assert_eq!(parts[0], "rk");
        assert!(id.ends_with(parts[1]) && parts[1].len() == 8);
        assert_eq!(parts[2].len(), 52);
        assert_eq!(minted.prefix, format!("rk_{}", parts[1]));
        assert_eq!(minted.digest, Digest::of(minted.text.as_bytes()));
        assert_ne!(mint(command).text, minted.text);
        assert!(!format!("{minted:?}").contains(parts[2]));
    }
}
