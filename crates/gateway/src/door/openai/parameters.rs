//! What a body asks for: checked, and turned into an ask.

mod offered;

use remuda_wire::infer::Sampler;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Path;

use super::body::Door;
use super::map_only::MapOnly;
use super::{chat, completions};
use crate::request::{Ask, Input, Refusal};

/// OpenAI's limit.
const MAX_STOPS: usize = 4;

/// A body in our words.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) ask: Ask,
    pub(super) include_usage: bool,
}

#[derive(Debug, Deserialize)]
struct Common {
    model: String,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    top_k: Option<i64>,
    frequency_penalty: Option<f32>,
    presence_penalty: Option<f32>,
    seed: Option<i64>,
    stop: Option<Stop>,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct StreamOptions {
    include_usage: Option<bool>,
    #[serde(flatten)]
    _others: MapOnly,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "`stop` is one text, a list of texts, or null")]
enum Stop {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize)]
struct ChatBody {
    messages: Vec<chat::Sent>,
}

#[derive(Debug, Deserialize)]
struct CompletionsBody {
    prompt: completions::Prompt,
}

/// Reads a body.
pub(super) fn read(bytes: &[u8], door: Door) -> Result<Wanted, Refusal> {
    let body: Value =
        serde_json::from_slice(bytes).map_err(|error| Refusal::Body(error.to_string()))?;
    body.as_object()
        .ok_or_else(|| Refusal::Body("it must be an object, `{…}`".to_owned()))?
        .iter()
        .try_for_each(|(name, value)| offered::check(name, value))?;
    let common: Common = part(&body)?;
    let input = match door {
        Door::Chat => Input::Chat(chat::messages(part::<ChatBody>(&body)?.messages)?),
        Door::Completions => part::<CompletionsBody>(&body)?.prompt.input()?,
    };
    wanted(common, input)
}

/// A part of the body; errors name the parameter.
fn part<T: DeserializeOwned>(body: &Value) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(body).map_err(|error| {
        let problem = error.inner().to_string();
        Refusal::parameter(name(error.path(), &problem), problem)
    })
}

/// Where a body is wrong. The path ends where a field is missing; only the problem names that.
fn name(path: &Path, problem: &str) -> String {
    let missing = problem
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'));
    match missing {
        None => path.to_string(),
        Some(field) if path.iter().len() == 0 => field.to_owned(),
        Some(field) => format!("{path}.{field}"),
    }
}

fn wanted(common: Common, input: Input) -> Result<Wanted, Refusal> {
    let sampler = sampler(&common)?;
    let max_tokens = common.max_completion_tokens.or(common.max_tokens);
    if max_tokens == Some(0) {
        return Err(Refusal::parameter(
            "max_tokens",
            "at least one token must be asked for",
        ));
    }
    let options = common.stream_options;
    Ok(Wanted {
        include_usage: options
            .and_then(|options| options.include_usage)
            .unwrap_or(false),
        ask: Ask {
            model: common.model,
            input,
            sampler,
            seed: common.seed.map(i64::cast_unsigned),
            max_tokens,
            stops: stops(common.stop)?,
            streamed: common.stream.unwrap_or(false),
        },
    })
}

fn stops(stop: Option<Stop>) -> Result<Vec<String>, Refusal> {
    let stops = match stop {
        None => Vec::new(),
        Some(Stop::One(stop)) => vec![stop],
        Some(Stop::Many(stops)) => stops,
    };
    if stops.len() > MAX_STOPS {
        let problem = format!(
            "{MAX_STOPS} stop sequences are allowed, not {}",
            stops.len()
        );
        return Err(Refusal::parameter("stop", problem));
    }
    Ok(stops)
}

fn sampler(common: &Common) -> Result<Sampler, Refusal> {
    let whole = Sampler::default();
    let top_k = common.top_k.unwrap_or(0);
    Ok(Sampler {
        temperature: within(
            "temperature",
            common.temperature,
            whole.temperature,
            0.0,
            2.0,
        )?,
        top_p: within("top_p", common.top_p, whole.top_p, 0.0, 1.0)?,
        // Servers disagree on whether 0 or -1 keeps all: both do here.
        top_k: u32::try_from(top_k.max(0))
            .map_err(|_| Refusal::parameter("top_k", "top_k is a number of tokens"))?,
        frequency_penalty: within(
            "frequency_penalty",
            common.frequency_penalty,
            0.0,
            -2.0,
            2.0,
        )?,
        presence_penalty: within("presence_penalty", common.presence_penalty, 0.0, -2.0, 2.0)?,
    })
}

fn within(
    name: &str,
    given: Option<f32>,
    otherwise: f32,
    least: f32,
    most: f32,
) -> Result<f32, Refusal> {
    let value = given.unwrap_or(otherwise);
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        let problem = format!("{name} must be between {least} and {most}, not {value}");
        Err(Refusal::parameter(name, problem))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn chat(changes: &Value) -> Result<Wanted, Refusal> {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        read(body.to_string().as_bytes(), Door::Chat)
    }

    /// The parameter that is refused, and why.
    fn parameter(read: Result<Wanted, Refusal>) -> (String, String) {
        match read {
            Err(Refusal::Parameter { name, problem, .. }) => (name, problem),
            other => panic!("{other:?}"),
        }
    }

    fn told(name: &str, problem: &str) -> (String, String) {
        (name.to_owned(), problem.to_owned())
    }

    fn refused(changes: &Value) -> (String, bool) {
        match chat(changes) {
            Err(Refusal::Parameter {
                name, unsupported, ..
            }) => (name, unsupported),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_not_offered_is_refused_by_name() {
        let refused = |changes: Value| refused(&changes);
        assert_eq!(refused(json!({"n": 2})), ("n".to_owned(), true));
        assert_eq!(refused(json!({"tools": [{}]})), ("tools".to_owned(), true));
        assert_eq!(
            refused(json!({"logprobs": true})),
            ("logprobs".to_owned(), true)
        );
        for name in [
            "reasoning_effort",
            "chat_template_kwargs",
            "structured_outputs",
            "guided_json",
            "include_stop_str_in_output",
            "logits_processors",
            "mirostat",
            "mirostat_tau",
            "xtc_probability",
            "dry_multiplier",
            "min_p",
            "something_new",
        ] {
            let value = json!({name: {"a": 1}});
            assert_eq!(refused(value), (name.to_owned(), true));
        }
        let format = json!({"response_format": {"type": "json_object"}});
        assert_eq!(refused(format), ("response_format".to_owned(), true));
        let image = json!([{"role": "user", "content": [{"type": "image_url"}]}]);
        let name = "messages[0].content[0]".to_owned();
        assert_eq!(refused(json!({"messages": image})), (name, true));
    }

    #[test]
    fn what_asks_for_nothing_or_changes_nothing_passes() {
        let harmless = json!({
            "n": 1, "tools": [], "tool_choice": "auto", "logprobs": false, "logit_bias": {},
            "response_format": {"type": "text"}, "modalities": ["text"], "user": "u",
            "store": false, "top_k": -1, "stop": null, "seed": -3, "metadata": {"a": "b"},
            "service_tier": "auto", "safety_identifier": "s", "prompt_cache_key": "k",
            "parallel_tool_calls": true, "reasoning_effort": null, "mirostat": 0,
            "stream_options": {"include_usage": true}, "chat_template_kwargs": {},
        });
        assert!(chat(&harmless).is_ok());
    }

    #[test]
    fn no_logprobs_and_zero_logprobs_are_two_wishes() {
        let with = |value: Value| {
            let body = json!({"model": "m", "prompt": "p", "logprobs": value});
            read(body.to_string().as_bytes(), Door::Completions)
        };
        assert!(with(json!(null)).is_ok());
        assert!(matches!(
            with(json!(0)),
            Err(Refusal::Parameter { name, .. }) if name == "logprobs"
        ));
    }

    #[test]
    fn wrong_values_name_their_parameter() {
        let refused = |changes: Value| refused(&changes).0;
        assert_eq!(refused(json!({"temperature": 3})), "temperature");
        assert_eq!(refused(json!({"temperature": "hot"})), "temperature");
        assert_eq!(refused(json!({"max_tokens": 0})), "max_tokens");
        assert_eq!(refused(json!({"stop": ["a", "b", "c", "d", "e"]})), "stop");
        assert_eq!(refused(json!({"model": null})), "model");
        assert_eq!(refused(json!({"messages": []})), "messages");
        let nobody = json!([{"role": "nobody", "content": "x"}]);
        assert_eq!(refused(json!({"messages": nobody})), "messages[0].role");
        let nobody = json!([{"role": "user", "content": "x"}, {"content": "x"}]);
        assert_eq!(refused(json!({"messages": nobody})), "messages[1].role");
        let (name, problem) = parameter(read(b"{\"messages\": []}", Door::Chat));
        assert_eq!((&*name, &*problem), ("model", "missing field `model`"));
    }

    #[test]
    fn what_has_several_forms_says_which() {
        let chat = |changes: Value| parameter(chat(&changes));
        let stop = "`stop` is one text, a list of texts, or null";
        assert_eq!(chat(json!({"stop": 5})), told("stop", stop));
        assert_eq!(chat(json!({"stop": ["a", 5]})), told("stop", stop));
        let content = "`content` is text or a list of parts, `{\"type\": \"text\", \"text\": …}`";
        for wrong in [json!(5), json!([{"text": "x"}]), json!([["text", "x"]])] {
            let messages = json!([{"role": "user", "content": wrong}]);
            let refused = chat(json!({"messages": messages}));
            assert_eq!(refused, told("messages[0].content", content));
        }
        for wrong in [json!(null), json!(5), json!({"a": 1}), json!([1, "a"])] {
            let body = json!({"model": "m", "prompt": wrong}).to_string();
            let refused = parameter(read(body.as_bytes(), Door::Completions));
            let prompt = "`prompt` is one text or one list of token ids";
            assert_eq!(refused, told("prompt", prompt));
        }
    }

    #[test]
    fn a_list_is_no_object() {
        for body in ["[]", "[\"m\"]", "null", "5"] {
            let refused = read(body.as_bytes(), Door::Chat);
            assert!(matches!(refused, Err(Refusal::Body(_))), "{refused:?}");
        }
        let chat = |changes: Value| parameter(chat(&changes));
        let list = "invalid type: sequence, expected an object";
        let message = chat(json!({"messages": [["user", "hi"]]}));
        assert_eq!(message, told("messages[0]", list));
        let options = chat(json!({"stream_options": [true]}));
        assert_eq!(options, told("stream_options", list));
    }

    #[test]
    fn prompts_come_in_four_forms_and_one_at_a_time() {
        let prompt = |prompt: Value| {
            let body = json!({"model": "m", "prompt": prompt});
            read(body.to_string().as_bytes(), Door::Completions).map(|wanted| wanted.ask.input)
        };
        assert!(matches!(prompt(json!("a")), Ok(Input::Text(text)) if text == "a"));
        assert!(matches!(prompt(json!(["a"])), Ok(Input::Text(text)) if text == "a"));
        assert!(matches!(prompt(json!([1, 2])), Ok(Input::Tokens(ids)) if ids == [1, 2]));
        assert!(matches!(prompt(json!([[1, 2]])), Ok(Input::Tokens(ids)) if ids == [1, 2]));
        assert!(matches!(
            prompt(json!(["a", "b"])),
            Err(Refusal::Parameter { .. })
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_ask_or_a_refusal(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(read(&bytes, Door::Chat));
        }

        #[test]
        fn any_value_of_any_parameter_is_an_ask_or_a_refusal(
            name in proptest::sample::select(vec![
                "model", "stream", "stop", "seed", "top_k", "max_tokens", "messages", "n", "tools",
            ]),
            value in proptest::sample::select(vec![
                json!(null), json!(-1), json!(1e300), json!("x"), json!([]), json!([[1]]), json!({}),
                json!([{"role": "user", "content": [{"type": "text", "text": "x"}]}]),
            ]),
        ) {
            drop(chat(&json!({name: value})));
        }
    }
}
