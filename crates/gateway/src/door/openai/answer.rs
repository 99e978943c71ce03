//! Answers that are sent whole.

use axum::Json;
use axum::response::{IntoResponse, Response};

use super::body::{About, Door, Usage};
use super::{chat, completions};
use crate::door::answers::Answers;
use crate::request::Refusal;

/// Waits for the answers and makes a body of them.
pub(super) async fn respond(about: &About, answers: Answers) -> Result<Response, Refusal> {
    let whole = answers.whole().await?;
    let mut usage = Usage::default();
    for (place, answer) in whole.iter().enumerate() {
        usage.add(about, place, &answer.finished);
    }
    let usage = Some(Some(usage));
    let answers = whole.into_iter().enumerate();
    Ok(match about.door {
        Door::Chat => {
            let choices = answers.map(|(place, answer)| chat::Choice::new(about, place, answer));
            Json(about.object("chat.completion", choices.collect(), usage)).into_response()
        }
        Door::Completions => {
            let choices = answers.map(|(place, answer)| completions::Choice::new(place, answer));
            Json(about.object("text_completion", choices.collect(), usage)).into_response()
        }
    })
}
