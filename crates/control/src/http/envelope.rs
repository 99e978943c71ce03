//! What is round every request: its id, its span in the log, its count, its problem made readable.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use remuda_types::RequestId;
use tracing::Instrument;

use super::Api;
use super::problem::Problem;
use crate::clock;

const HEADER: &str = "x-request-id";

/// The longest id that a client may choose.
const ID_BYTES_MAX: usize = 128;

pub(super) async fn wrap(State(api): State<Api>, request: Request, next: Next) -> Response {
    let id = request_id(&api, request.headers());
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_else(|| "unknown".to_owned());
    let span = tracing::info_span!("request", %id, %method, route);
    let mut response = next.run(request).instrument(span.clone()).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = problem.render(&id, response);
    }
    span.in_scope(|| tracing::debug!(status = response.status().as_u16(), "answered"));
    api.metrics
        .request(&route, method_word(&method), response.status().as_u16());
    // Checked or made here of characters that a header can have.
    if let Ok(value) = HeaderValue::try_from(id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

/// The method as a metric's label: clients may invent methods, but not series.
fn method_word(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"];
    known
        .into_iter()
        .find(|known| method.as_str() == *known)
        .unwrap_or("other")
}

/// The client's, if it is one that can stand in a log; else a new one.
fn request_id(api: &Api, headers: &HeaderMap) -> String {
    let given = headers.get(HEADER).and_then(|value| value.to_str().ok());
    let fit = given.filter(|id| is_fit(id)).map(str::to_owned);
    fit.unwrap_or_else(|| RequestId::new(api.app.core.clock().now(), clock::entropy()).to_string())
}

fn is_fit(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_forge_a_log_line_are_not_taken() {
        assert!(is_fit("req_01J9-a.b:c"));
        for wrong in ["", "a b", "a\tb", "a\"b", &"x".repeat(129)] {
            assert!(!is_fit(wrong), "{wrong:?}");
        }
    }
}
