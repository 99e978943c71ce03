//! What may stand after the question mark: what the API's own description says of the operation,
//! and nothing else. A filter with a slip in its name would otherwise filter nothing, silently.

use std::collections::HashMap;

use axum::extract::{MatchedPath, Query, Request, State};
use axum::http::{Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

use super::Api;
use super::problem::Problem;

/// The parameters of every operation, by method and path.
#[derive(Debug)]
pub(super) struct Known(HashMap<(Method, String), Vec<String>>);

impl Known {
    /// As the routes said of themselves.
    pub(super) fn of(routes: &OpenApi) -> Self {
        let mut known = HashMap::new();
        for (path, item) in &routes.paths.paths {
            let operations = [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            for (method, operation) in operations {
                if let Some(operation) = operation {
                    known.insert((method, path.clone()), names(operation));
                }
            }
        }
        Self(known)
    }

    fn check(&self, method: &Method, path: &str, uri: &Uri) -> Result<(), Problem> {
        let given = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|rejection| Problem::invalid(rejection.body_text()))?;
        // HEAD is GET without the body.
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let Some(known) = self.0.get(&(method.clone(), path.to_owned())) else {
            return Ok(());
        };
        match given.iter().find(|(name, _)| !known.contains(name)) {
            Some((name, _)) => Err(unknown(method, path, name, known)),
            None => Ok(()),
        }
    }
}

fn names(operation: &Operation) -> Vec<String> {
    let parameters = operation.parameters.iter().flatten();
    parameters
        .filter_map(|parameter| match parameter {
            RefOr::T(parameter) => Some(parameter),
            RefOr::Ref(_) => None,
        })
        .filter(|parameter| parameter.parameter_in == ParameterIn::Query)
        .map(|parameter| parameter.name.clone())
        .collect()
}

fn unknown(method: &Method, path: &str, name: &str, known: &[String]) -> Problem {
    let expected = if known.is_empty() {
        "it has none".to_owned()
    } else {
        format!("it has {}", known.join(", "))
    };
    Problem::invalid(format!(
        "`{name}` is no parameter of {method} {path}: {expected}"
    ))
}

/// Refuses a request with a parameter that its operation does not have.
pub(super) async fn check(State(api): State<Api>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let path = path.map_or("", MatchedPath::as_str);
    match api.known.check(request.method(), path, request.uri()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}
