//! What all APIs say alike of a refusal: its status, and whether and when to come back.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use remuda_types::Span;

use crate::models::NoModel;
use crate::request::Refusal;

/// How soon to come back when what is missing is on its way.
const SOON: Span = Span::from_secs(1);

/// Tells the SDKs when to come back, or not to.
pub(super) fn advise(headers: &mut HeaderMap, refusal: &Refusal) {
    let Some(span) = retry_after(refusal) else {
        headers.insert("x-should-retry", HeaderValue::from_static("false"));
        return;
    };
    let millis = span.as_millis();
    headers.insert(header::RETRY_AFTER, millis.div_ceil(1_000).into());
    headers.insert("retry-after-ms", millis.into());
}

pub(super) fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        // The statuses of `Denied` are all valid.
        Refusal::Denied(denied) => {
            StatusCode::from_u16(denied.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
        }
        Refusal::NoKey => StatusCode::UNAUTHORIZED,
        Refusal::UnknownModel(_) | Refusal::UnknownResponse(_) | Refusal::NoPath(_) => {
            StatusCode::NOT_FOUND
        }
        Refusal::NoMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::BodySilent { .. } => StatusCode::REQUEST_TIMEOUT,
        Refusal::TooLong { .. }
        | Refusal::TextTooLong { .. }
        | Refusal::Empty
        | Refusal::UnknownToken(_)
        | Refusal::Parameter { .. }
        | Refusal::Body(_)
        | Refusal::Template(_)
        | Refusal::NoPrevious(_)
        | Refusal::Encode => StatusCode::BAD_REQUEST,
        Refusal::Model(_)
        | Refusal::Spool(_)
        | Refusal::Kept(_)
        | Refusal::CompilingLate
        | Refusal::Lapsed
        | Refusal::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::BrokeOff => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn retry_after(refusal: &Refusal) -> Option<Span> {
    match refusal {
        Refusal::Denied(denied) => denied.retry_after(),
        Refusal::Model(NoModel::Failed(error)) => error.may_pass().then_some(SOON),
        // This gateway in a moment, another one, or this one restarted.
        Refusal::Model(NoModel::Loading)
        | Refusal::Lapsed
        | Refusal::Stopping
        | Refusal::Spool(_)
        | Refusal::Kept(_)
        | Refusal::CompilingLate
        | Refusal::BodySilent { .. }
        | Refusal::BrokeOff => Some(SOON),
        Refusal::NoKey
        | Refusal::UnknownModel(_)
        | Refusal::UnknownResponse(_)
        | Refusal::NoPrevious(_)
        | Refusal::TooLong { .. }
        | Refusal::TextTooLong { .. }
        | Refusal::Empty
        | Refusal::UnknownToken(_)
        | Refusal::Parameter { .. }
        | Refusal::Body(_)
        | Refusal::BodyTooLarge { .. }
        | Refusal::Template(_)
        | Refusal::Encode
        | Refusal::NoPath(_)
        | Refusal::NoMethod(_) => None,
    }
}
