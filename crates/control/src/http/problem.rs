//! What went wrong, as RFC 9457 says.
//!
//! A [`Problem`] rides in its response's extensions; the envelope, which knows the request's id,
//! writes the body.

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use remuda_network::Refusal;
use remuda_network::ledger::Refusal as MoneyRefusal;
use remuda_network::placement::RequestError;
use remuda_wire::api::problem::{FieldError, Problem as Body, TYPE_PREFIX};

use super::BODY_BYTES_MAX;
use crate::core::recover::chain;
use crate::sequencer::SubmitError;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    retry_after_s: Option<u64>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_s: None,
        }
    }

    /// One field of the body is wrong.
    pub(super) fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError {
            pointer: pointer.into(),
            detail: detail.into(),
        }])
    }

    /// Fields of the body are wrong; there is at least one.
    pub(super) fn fields(errors: Vec<FieldError>) -> Self {
        let one = |error: &FieldError| match error.pointer.as_str() {
            "" => error.detail.clone(),
            pointer => format!("{pointer}: {}", error.detail),
        };
        let all: Vec<_> = errors.iter().map(one).collect();
        Self {
            errors,
            ..Self::invalid(all.join("; "))
        }
    }

    /// The request makes no sense.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
    }

    /// What was sent is not JSON.
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// The body is over the limit.
    pub(super) fn too_large() -> Self {
        let detail = format!("the body is over {BODY_BYTES_MAX} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
    }

    /// There is no such thing, or the caller may not know of it.
    pub(super) fn not_found(kind: &str, id: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            format!("there is no {kind} {id}"),
        )
    }

    /// Another kind of key is needed.
    pub(super) fn wrong_owner(needed: &str) -> Self {
        let detail = format!("{needed} is needed for this");
        Self::new(StatusCode::FORBIDDEN, "wrong-owner", detail)
    }

    /// Nothing that the client did; what exactly is in control's log only.
    pub(super) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = %chain(error), "a request failed");
        Self::broken()
    }

    fn broken() -> Self {
        let detail = "control failed to answer; the log has why under this request's id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    #[cfg(test)]
    pub(super) fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// The same where what was checked is a field of the body, whose own fields are `beside`.
    #[must_use]
    pub(super) fn within(self, field: &str, beside: &[&str]) -> Self {
        if self.errors.is_empty() {
            return self;
        }
        let moved = |error: FieldError| match error.pointer.as_str() {
            own if beside.contains(&own) => error,
            pointer => FieldError {
                pointer: format!("{field}{pointer}"),
                ..error
            },
        };
        let errors = self.errors.into_iter().map(moved).collect();
        Self {
            status: self.status,
            code: self.code,
            retry_after_s: self.retry_after_s,
            ..Self::fields(errors)
        }
    }

    #[must_use]
    pub(super) fn retry_after(self, seconds: u64) -> Self {
        Self {
            retry_after_s: Some(seconds),
            ..self
        }
    }

    /// The response with its body, now that the request's id is known.
    pub(super) fn render(self, instance: &str, mut response: Response) -> Response {
        let body = Body {
            kind: format!("{TYPE_PREFIX}{}", self.code),
            title: title(self.code),
            status: self.status.as_u16(),
            detail: self.detail,
            instance: instance.to_owned(),
            code: self.code.to_owned(),
            errors: self.errors,
        };
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        *response.body_mut() = serde_json::to_vec(&body).unwrap_or_default().into();
        response
    }
}

/// `not-found` in words: `Not found`.
fn title(code: &str) -> String {
    let words = code.replace('-', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.retry_after_s {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        let detail = error.to_string();
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        match error {
            SubmitError::Refused(refusal) => refusal.into(),
            SubmitError::ReadOnly { .. } => {
                Self::new(unavailable, "read-only", detail).retry_after(5)
            }
            SubmitError::Stopping => Self::new(unavailable, "stopping", detail).retry_after(1),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (code, detail) = (refusal.code(), refusal.to_string());
        match &refusal {
            Refusal::Invalid { field, problem } => Self::field(pointer(field), problem),
            Refusal::Request(error) => Self::field(asked_at(error), error.to_string()),
            Refusal::NoCapacity(unplaced) => {
                let way_out = unplaced
                    .relaxation
                    .map(|relaxation| format!("; {relaxation}"));
                Self::new(
                    StatusCode::CONFLICT,
                    code,
                    detail + &way_out.unwrap_or_default(),
                )
            }
            _ => Self::new(status(&refusal), code, detail),
        }
    }
}

/// Where what makes no sense on any fleet stands in a spec.
const fn asked_at(error: &RequestError) -> &'static str {
    match error {
        RequestError::EmptyShape
        | RequestError::FractionAboveOne { .. }
        | RequestError::GpuMemoryWithoutGpu => "/resources",
        RequestError::FabricAndSpread => "/placement/together",
        RequestError::NoReplicas | RequestError::TooManyReplicas { .. } => "/replicas",
    }
}

/// Where a command's field stands in a body.
fn pointer(field: &str) -> String {
    match field {
        "until" | "from" | "to" => format!("/{field}_ms"),
        "amount" => "/amount_usd".to_owned(),
        "expires" => "/expires_in_s".to_owned(),
        "bytes" => "/path".to_owned(),
        "max_owner_share_pct" | "max_site_share_pct" => format!("/placement/{field}"),
        same => format!("/{same}"),
    }
}

fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::NotFound { .. } => StatusCode::NOT_FOUND,
        Refusal::Invalid { .. } | Refusal::Request(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Money(money) => money_status(money),
        Refusal::BudgetExhausted { .. } | Refusal::BondShort { .. } => StatusCode::PAYMENT_REQUIRED,
        Refusal::NotYours { .. } => StatusCode::FORBIDDEN,
        Refusal::NameTaken { .. }
        | Refusal::OtherFile { .. }
        | Refusal::NoCapacity(_)
        | Refusal::NoRoom(_)
        | Refusal::WrongState { .. }
        | Refusal::StaleEpoch { .. }
        | Refusal::TrancheOverdrawn { .. }
        | Refusal::PostOutOfOrder { .. }
        | Refusal::LimitMet { .. }
        | Refusal::TooOld { .. }
        | Refusal::FromTheFuture { .. } => StatusCode::CONFLICT,
    }
}

fn money_status(refusal: &MoneyRefusal) -> StatusCode {
    match refusal {
        MoneyRefusal::InsufficientFunds { .. } => StatusCode::PAYMENT_REQUIRED,
        MoneyRefusal::NegativeAmount { .. } | MoneyRefusal::Overflow { .. } => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        MoneyRefusal::UnknownPending { .. }
        | MoneyRefusal::AlreadyPending { .. }
        | MoneyRefusal::AmountOverReserved { .. }
        | MoneyRefusal::SameAccount { .. }
        | MoneyRefusal::SettlementOpen { .. } => StatusCode::CONFLICT,
    }
}

/// Every path that no route has.
pub(super) async fn unknown_route(request: Request) -> Problem {
    let path = request.uri().path();
    let detail = format!("there is no {path}; GET /v1/openapi.json lists what there is");
    Problem::new(StatusCode::NOT_FOUND, "unknown-route", detail)
}

/// A path that has no such method.
pub(super) async fn wrong_method(request: Request) -> Problem {
    let detail = format!(
        "{} is not done here; the header `allow` lists what is",
        request.method()
    );
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", detail)
}

/// What a panic's client is told: nothing of the inside.
pub(super) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::broken().into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(problem: Problem) -> (u16, Option<String>) {
        let response = problem.into_response();
        let retry = response.headers().get(header::RETRY_AFTER);
        let retry = retry.map(|value| value.to_str().unwrap_or_default().to_owned());
        (response.status().as_u16(), retry)
    }

    #[test]
    fn what_may_work_later_says_when() {
        let read_only = SubmitError::ReadOnly {
            why: "the disk is full".into(),
        };
        let problem = Problem::from(read_only);
        assert!(problem.detail.contains("the disk is full"));
        assert_eq!(answered(problem), (503, Some("5".to_owned())));
        assert_eq!(
            answered(SubmitError::Stopping.into()),
            (503, Some("1".to_owned()))
        );
        assert_eq!(answered(Problem::invalid("x")), (422, None));
    }

    #[test]
    fn a_panic_tells_nothing_of_the_inside() {
        let response = panicked(Box::new("secret"));
        assert_eq!(response.status().as_u16(), 500);
        let problem = response.extensions().get::<Problem>();
        assert!(problem.is_some_and(|problem| !format!("{problem:?}").contains("secret")));
    }

    #[test]
    fn codes_are_titles() {
        assert_eq!(
            (title("not-found"), title("")),
            ("Not found".to_owned(), String::new())
        );
    }
}
