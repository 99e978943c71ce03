//! Refusals in Anthropic's words.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use remuda_types::RequestId;
use serde::Serialize;

use crate::door::advice;
use crate::request::Refusal;

/// `{"type": "error", …}`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Body {
    #[serde(rename = "type")]
    kind: &'static str,
    error: Error,
    request_id: String,
}

#[derive(Clone, Debug, Serialize)]
struct Error {
    #[serde(rename = "type")]
    kind: &'static str,
    message: String,
}

/// The error object.
pub(super) fn body(refusal: &Refusal, id: RequestId) -> Body {
    Body {
        kind: "error",
        error: Error {
            kind: code(refusal),
            message: message(refusal),
        },
        request_id: id.to_string(),
    }
}

/// The whole response.
pub(super) fn response(refusal: &Refusal, id: RequestId) -> Response {
    let mut response = Json(body(refusal, id)).into_response();
    *response.status_mut() = advice::status(refusal);
    advice::advise(response.headers_mut(), refusal);
    response
}

/// This API has no field for the parameter at fault.
fn message(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Parameter { name, problem, .. } => format!("{name}: {problem}"),
        other => other.to_string(),
    }
}

/// The error's `type`, which follows its status.
pub(super) fn code(refusal: &Refusal) -> &'static str {
    match advice::status(refusal) {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::PAYMENT_REQUIRED => "billing_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::REQUEST_TIMEOUT => "timeout_error",
        StatusCode::PAYLOAD_TOO_LARGE => "request_too_large",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.as_u16() == 529 => "overloaded_error",
        status if status.is_client_error() => "invalid_request_error",
        _ => "api_error",
    }
}
