//! Bodies, ids and queries, with errors that say where.

use std::fmt::{Display, Write};
use std::str::FromStr;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::Segment;

use super::problem::Problem;

/// How long a body of at most a mebibyte may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

/// The last id of the path.
pub(super) struct Id<T>(pub(super) T);

/// What stands after the question mark.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        check_type(request.headers())?;
        let bytes = in_time(Bytes::from_request(request, state)).await?;
        let bytes = bytes.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(),
            _ => Problem::malformed(rejection.body_text()),
        })?;
        read(&bytes).map(Self)
    }
}

/// Reads what has been promised to come; a client that takes too long over it is told.
pub(super) async fn in_time<T>(read: impl Future<Output = T>) -> Result<T, Problem> {
    let read = tokio::time::timeout(BODY_WITHIN, read).await;
    read.map_err(|_| {
        let seconds = BODY_WITHIN.as_secs();
        let detail = format!("the body did not arrive within {seconds} s: send it again");
        Problem::new(StatusCode::REQUEST_TIMEOUT, "body-too-slow", detail)
    })
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(given) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let given = given.to_str().unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence == "application/json" || essence.ends_with("+json") {
        return Ok(());
    }
    let detail = format!("`{essence}` is not read here: send application/json");
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "wrong-type",
        detail,
    ))
}

/// Reads a body; an error names the field.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Serde would take a list for an object whose fields come in order.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::field(
            String::new(),
            "a list: an object is expected",
        ));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (pointer, detail) = (pointer(error.path()), error.inner().to_string());
        match error.inner().classify() {
            Category::Data => Problem::field(pointer, detail),
            Category::Io | Category::Syntax | Category::Eof => Problem::malformed(detail),
        }
    })?;
    json.end()
        .map_err(|error| Problem::malformed(error.to_string()))?;
    Ok(value)
}

/// A path as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let part = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => continue,
        };
        // Writing to a String has no error.
        write!(pointer, "/{part}").unwrap_or_default();
    }
    pointer
}

impl<S: Send + Sync, T: FromStr<Err: Display>> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|rejection| Problem::invalid(rejection.body_text()))?;
        text.parse()
            .map(Self)
            .map_err(|error: T::Err| Problem::invalid(error.to_string()))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        let Query(value) = query.map_err(|rejection| Problem::invalid(rejection.body_text()))?;
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use remuda_wire::api::WorkloadSpec;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_spec_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let read = read::<WorkloadSpec>(&bytes);
            prop_assert!(read.is_err(), "a spec has a name, which so few random bytes do not");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_is_408() {
        let problem = in_time(std::future::pending::<()>()).await.unwrap_err();
        assert!(format!("{problem:?}").contains("body-too-slow"));
        assert!(matches!(in_time(async { 7 }).await, Ok(7)));
    }

    #[test]
    fn errors_name_the_field() {
        let at = |json: &str| read::<WorkloadSpec>(json.as_bytes()).unwrap_err();
        let wrong_type = at(r#"{"name":"a","placement":{"classes":["cpu",3]}}"#);
        assert!(
            format!("{wrong_type:?}").contains("\"/placement/classes/1\""),
            "{wrong_type:?}"
        );
        let unknown = at(r#"{"name":"a","placement":{"colour":"red"}}"#);
        assert!(
            format!("{unknown:?}").contains("\"/placement/colour\""),
            "{unknown:?}"
        );
        assert!(format!("{:?}", at("{}")).contains("missing field"));
        assert!(format!("{:?}", at(r#" ["a"]"#)).contains("an object is expected"));
    }
}
