//! An answer that is sent whole.

use axum::Json;
use axum::response::{IntoResponse, Response};

use super::body::{About, Door, Usage, reason};
use super::{chat, completions};
use crate::request::{Inbox, Refusal};

/// Waits for the answer and makes a body of it.
pub(super) async fn respond(about: &About, mut inbox: Inbox) -> Result<Response, Refusal> {
    let (content, finished) = inbox.collect().await?;
    let usage = Some(Some(Usage::from(finished)));
    let finish_reason = reason(finished.reason);
    Ok(match about.door {
        Door::Chat => {
            let message = chat::Answer {
                role: "assistant",
                content,
                refusal: (),
            };
            let choice = chat::Choice {
                index: 0,
                message,
                logprobs: (),
                finish_reason,
            };
            Json(about.object("chat.completion", vec![choice], usage)).into_response()
        }
        Door::Completions => {
            let finish_reason = Some(finish_reason);
            let choice = completions::Choice {
                text: content,
                finish_reason,
                ..Default::default()
            };
            Json(about.object("text_completion", vec![choice], usage)).into_response()
        }
    })
}
