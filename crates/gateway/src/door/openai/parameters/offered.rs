//! Which parameters a body may have.
//!
//! Those that would change the answer and are not offered are refused by name, and so are those that
//! nobody here knows: they may well change it. Those that change nothing (`user`, `metadata`,
//! `store` …) pass.

use serde_json::Value;

use crate::door::fields::unsupported;
use crate::door::openai::body::Door;
use crate::request::Refusal;

/// Whether a value asks for nothing beyond what every answer has.
type AsksForNothing = fn(&Value) -> bool;

/// Parameters that change the answer and are not offered, with the values that ask for nothing.
const NOT_OFFERED: &[(&str, AsksForNothing)] = &[
    ("best_of", is_one),
    ("functions", is_nothing),
    ("function_call", asks_for_no_tool),
    ("logit_bias", is_nothing),
    ("modalities", is_text_only),
    ("audio", is_nothing),
    ("prediction", is_nothing),
    ("web_search_options", is_nothing),
    ("echo", is_nothing),
    ("suffix", is_nothing),
    ("min_p", is_nothing),
    ("typical_p", is_one),
    ("repetition_penalty", is_one),
    ("repeat_penalty", is_one),
    // llama.cpp's; `structured_outputs` takes what can be followed here.
    ("grammar", is_nothing),
    ("json_schema", is_nothing),
    ("ignore_eos", is_nothing),
    ("min_tokens", is_nothing),
    ("stop_token_ids", is_nothing),
    ("guided_decoding_backend", is_nothing),
    ("guided_whitespace_pattern", is_nothing),
    ("chat_template", is_nothing),
    ("chat_template_kwargs", is_nothing),
    ("reasoning_effort", is_none),
    ("verbosity", is_medium),
    ("include_stop_str_in_output", is_nothing),
    ("logits_processors", is_nothing),
    ("prompt_logprobs", is_off),
    ("mirostat", is_nothing),
    ("mirostat_mode", is_nothing),
    ("xtc_probability", is_nothing),
    ("dry_multiplier", is_nothing),
    ("use_beam_search", is_nothing),
];

/// Parameters that are read, or change nothing.
const KNOWN: &[&str] = &[
    "model",
    "messages",
    "prompt",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "stop",
    "n",
    "logprobs",
    "top_logprobs",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "structured_outputs",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
];

/// Parameters of the one way to ask and not of the other.
const CHAT_ONLY: &[&str] = &[
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "top_logprobs",
];
const COMPLETIONS_ONLY: &[&str] = &["prompt"];

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// Zero is a wish here: the likeliest token's own probability.
fn is_off(value: &Value) -> bool {
    value.is_null() || value == false
}

fn is_none(value: &Value) -> bool {
    is_nothing(value) || value == "none"
}

fn is_medium(value: &Value) -> bool {
    is_nothing(value) || value == "medium"
}

fn is_one(value: &Value) -> bool {
    value.is_null() || value.as_f64() == Some(1.0)
}

fn asks_for_no_tool(value: &Value) -> bool {
    is_nothing(value) || value == "none" || value == "auto"
}

fn is_text_only(value: &Value) -> bool {
    value.as_array().map_or_else(
        || is_nothing(value),
        |list| list.iter().all(|kind| kind == "text"),
    )
}

/// Refuses what would change the answer, or might.
pub(super) fn check(body: &Value, door: Door) -> Result<(), Refusal> {
    let others = match door {
        Door::Chat => COMPLETIONS_ONLY,
        Door::Completions => CHAT_ONLY,
    };
    let mut fields = body.as_object().into_iter().flatten();
    fields.try_for_each(|(name, value)| {
        if others.contains(&&**name) && !is_nothing(value) {
            return Err(unsupported(name, "this parameter is not one of this path"));
        }
        check_one(name, value)
    })
}

fn check_one(name: &str, value: &Value) -> Result<(), Refusal> {
    let not_offered = NOT_OFFERED.iter().find(|(known, _)| *known == name);
    let problem = match not_offered {
        Some((_, asks_for_nothing)) if asks_for_nothing(value) => return Ok(()),
        None if KNOWN.contains(&name) => return Ok(()),
        Some(_) => format!("`{name}` is not supported by this gateway: leave it out"),
        None => "this parameter is not known here: leave it out".to_owned(),
    };
    Err(unsupported(name, problem))
}
