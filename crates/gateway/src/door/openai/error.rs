//! Refusals in OpenAI's words.

use axum::Json;
use axum::response::{IntoResponse, Response};
use remuda_routing::admission::keys;
use remuda_routing::{Denied, stream, tranche};
use serde::Serialize;

use crate::door::advice;
use crate::models::NoModel;
use crate::request::Refusal;

/// `{"error": {…}}`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Body {
    error: Error,
}

#[derive(Clone, Debug, Serialize)]
struct Error {
    message: String,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<String>,
    code: &'static str,
}

const INVALID: &str = "invalid_request_error";

/// The error object; `input` is the parameter of what is to be answered.
pub(super) fn body(refusal: &Refusal, input: &str) -> Body {
    let (kind, code) = words(refusal);
    let param = parameter(refusal, input);
    Body {
        error: Error {
            message: refusal.to_string(),
            kind,
            param,
            code,
        },
    }
}

/// The whole response.
pub(super) fn response(refusal: &Refusal, input: &str) -> Response {
    let mut response = Json(body(refusal, input)).into_response();
    *response.status_mut() = advice::status(refusal);
    advice::advise(response.headers_mut(), refusal);
    response
}

/// `code` alone.
pub(super) fn code(refusal: &Refusal) -> &'static str {
    words(refusal).1
}

/// `type` and `code`.
fn words(refusal: &Refusal) -> (&'static str, &'static str) {
    match refusal {
        Refusal::Denied(denied) => denied_words(denied),
        Refusal::NoKey => (INVALID, "invalid_api_key"),
        Refusal::UnknownModel(_) => (INVALID, "model_not_found"),
        Refusal::UnknownResponse(_) => (INVALID, "response_not_found"),
        Refusal::NoPrevious(_) => (INVALID, "previous_response_not_found"),
        Refusal::Kept(_) => ("server_error", "responses_unusable"),
        Refusal::CompilingLate => ("server_error", "constraint_pending"),
        Refusal::TooLong { .. } | Refusal::TextTooLong { .. } => {
            (INVALID, "context_length_exceeded")
        }
        Refusal::BodySilent { .. } => (INVALID, "body_timeout"),
        Refusal::Empty => (INVALID, "empty_prompt"),
        Refusal::UnknownToken(_) => (INVALID, "unknown_token"),
        Refusal::Parameter {
            unsupported: true, ..
        } => (INVALID, "unsupported_parameter"),
        Refusal::Parameter {
            unsupported: false, ..
        } => (INVALID, "invalid_value"),
        Refusal::Body(_) => (INVALID, "invalid_body"),
        Refusal::BodyTooLarge { .. } => (INVALID, "body_too_large"),
        Refusal::Template(_) => (INVALID, "template_refused"),
        Refusal::Encode => (INVALID, "invalid_prompt"),
        Refusal::NoPath(_) => (INVALID, "not_found"),
        Refusal::NoMethod(_) => (INVALID, "method_not_allowed"),
        Refusal::Model(NoModel::Loading) => ("server_error", "model_loading"),
        Refusal::Model(NoModel::Failed(_)) => ("server_error", "model_unusable"),
        Refusal::Spool(_) => ("server_error", "not_durable"),
        Refusal::Lapsed => ("server_error", "tranche_lapsed"),
        Refusal::Stopping => ("server_error", "stopping"),
        Refusal::BrokeOff => ("server_error", "internal_error"),
    }
}

fn denied_words(denied: &Denied) -> (&'static str, &'static str) {
    match denied {
        Denied::Key(keys::Refusal::Unknown | keys::Refusal::Expired) => {
            (INVALID, "invalid_api_key")
        }
        Denied::Key(keys::Refusal::NotForInference) => {
            ("permission_error", "key_not_for_inference")
        }
        Denied::Rate(_) => ("rate_limit_error", "rate_limit_exceeded"),
        Denied::Queue(_) | Denied::Replica(remuda_routing::pick::NoReplica::Busy { .. }) => {
            ("overloaded_error", "overloaded")
        }
        Denied::Budget(refusal) => budget_words(*refusal),
        Denied::Replica(_) | Denied::Stream(stream::Failure::NoReplicaLeft) => {
            ("server_error", "no_replica")
        }
        Denied::Stream(stream::Failure::Invalid) => (INVALID, "request_refused"),
        Denied::Stream(stream::Failure::TooManyMoves | stream::Failure::ResumeForbidden) => {
            ("server_error", "replicas_failed")
        }
    }
}

const fn budget_words(refusal: tranche::Refusal) -> (&'static str, &'static str) {
    match refusal {
        tranche::Refusal::Exhausted { .. } => ("insufficient_quota", "insufficient_quota"),
        tranche::Refusal::Reserved { .. } => ("rate_limit_error", "budget_reserved"),
        tranche::Refusal::TooDear { .. } => (INVALID, "request_too_dear"),
        tranche::Refusal::Twice => (INVALID, "duplicate_request"),
        tranche::Refusal::NoTranche
        | tranche::Refusal::Short { .. }
        | tranche::Refusal::PastDeadline => ("server_error", "budget_pending"),
    }
}

/// Which parameter is at fault.
fn parameter(refusal: &Refusal, input: &str) -> Option<String> {
    match refusal {
        Refusal::Parameter { name, .. } => Some(name.clone()),
        Refusal::UnknownModel(_) => Some("model".to_owned()),
        Refusal::UnknownResponse(_) => Some("response_id".to_owned()),
        Refusal::NoPrevious(_) => Some("previous_response_id".to_owned()),
        Refusal::TooLong { .. }
        | Refusal::TextTooLong { .. }
        | Refusal::Empty
        | Refusal::UnknownToken(_)
        | Refusal::Template(_)
        | Refusal::Encode => Some(input.to_owned()),
        Refusal::Denied(Denied::Budget(tranche::Refusal::TooDear { .. })) => {
            Some("max_tokens".to_owned())
        }
        Refusal::Denied(_)
        | Refusal::NoKey
        | Refusal::Body(_)
        | Refusal::BodyTooLarge { .. }
        | Refusal::BodySilent { .. }
        | Refusal::Model(_)
        | Refusal::Spool(_)
        | Refusal::Kept(_)
        | Refusal::CompilingLate
        | Refusal::Lapsed
        | Refusal::Stopping
        | Refusal::BrokeOff
        | Refusal::NoPath(_)
        | Refusal::NoMethod(_) => None,
    }
}
