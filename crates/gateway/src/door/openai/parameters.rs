//! What a body asks for: checked, and turned into an ask.

mod form;
mod offered;
mod tools;

use remuda_wire::infer::Sampler;
use serde::Deserialize;

use super::body::Door;
use super::{chat, completions};
use crate::door::fields::{self, part, within};
use crate::door::map_only::MapOnly;
use crate::request::{Ask, Form, Input, MAX_ANSWERS, Refusal, Toolbox};

/// OpenAI's limit.
const MAX_STOPS: usize = 4;
/// OpenAI's, for completions without a word of how long they may be.
const COMPLETION_TOKENS: u32 = 16;
/// The most of the likeliest tokens that are reported with each token, as OpenAI has it: of a chat,
/// and of a completion.
const MAX_TOP_LOGPROBS: [u8; 2] = [20, 5];

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
    n: Option<usize>,
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
    logprobs: Option<bool>,
    top_logprobs: Option<u8>,
}

#[derive(Debug, Deserialize)]
struct CompletionsBody {
    prompt: completions::Prompt,
    logprobs: Option<u8>,
}

/// What the two ways to ask have each for themselves.
struct Own {
    inputs: Vec<Input>,
    toolbox: Option<Toolbox>,
    top_logprobs: Option<u8>,
    /// When the client does not say.
    max_tokens: Option<u32>,
}

/// Reads a body.
pub(super) fn read(bytes: &[u8], door: Door) -> Result<Wanted, Refusal> {
    let body = fields::object(bytes)?;
    offered::check(&body, door)?;
    let common: Common = part(&body)?;
    let own = match door {
        Door::Chat => {
            let sent: ChatBody = part(&body)?;
            Own {
                top_logprobs: chat_logprobs(sent.logprobs, sent.top_logprobs)?,
                toolbox: tools::toolbox(&body)?,
                max_tokens: None,
                inputs: vec![Input::Chat(chat::messages(sent.messages)?)],
            }
        }
        Door::Completions => {
            let sent: CompletionsBody = part(&body)?;
            Own {
                top_logprobs: few_enough("logprobs", sent.logprobs, MAX_TOP_LOGPROBS[1])?,
                toolbox: None,
                max_tokens: Some(COMPLETION_TOKENS),
                inputs: sent.prompt.inputs(),
            }
        }
    };
    wanted(common, own, form::form(&body)?)
}

fn chat_logprobs(asked: Option<bool>, top: Option<u8>) -> Result<Option<u8>, Refusal> {
    if asked == Some(true) {
        return few_enough("top_logprobs", Some(top.unwrap_or(0)), MAX_TOP_LOGPROBS[0]);
    }
    match top {
        None | Some(0) => Ok(None),
        Some(_) => Err(Refusal::parameter(
            "top_logprobs",
            "`top_logprobs` needs `logprobs` to be true",
        )),
    }
}

fn few_enough(name: &str, top: Option<u8>, most: u8) -> Result<Option<u8>, Refusal> {
    if top.is_some_and(|top| top > most) {
        let problem = format!("{name} is {most} at most");
        return Err(Refusal::parameter(name, problem));
    }
    Ok(top)
}

fn wanted(common: Common, own: Own, form: Option<Form>) -> Result<Wanted, Refusal> {
    let sampler = sampler(&common)?;
    let max_tokens = common.max_completion_tokens.or(common.max_tokens);
    if max_tokens == Some(0) {
        return Err(Refusal::parameter(
            "max_tokens",
            "at least one token must be asked for",
        ));
    }
    let (streamed, options) = (common.stream.unwrap_or(false), common.stream_options);
    if options.is_some() && !streamed {
        let problem = "`stream_options` is for streamed answers: set `stream` to true";
        return Err(Refusal::parameter("stream_options", problem));
    }
    Ok(Wanted {
        include_usage: options
            .and_then(|options| options.include_usage)
            .unwrap_or(false),
        ask: Ask {
            each: each(common.n, own.inputs.len())?,
            model: common.model,
            inputs: own.inputs,
            toolbox: own.toolbox,
            form,
            sampler,
            seed: common.seed.map(i64::cast_unsigned),
            max_tokens: max_tokens.or(own.max_tokens),
            stops: stops(common.stop)?,
            top_logprobs: own.top_logprobs,
            streamed,
        },
    })
}

/// How many answers each input is to have.
fn each(n: Option<usize>, inputs: usize) -> Result<usize, Refusal> {
    let each = n.unwrap_or(1);
    if each == 0 {
        return Err(Refusal::parameter(
            "n",
            "at least one answer must be asked for",
        ));
    }
    if inputs.saturating_mul(each) > MAX_ANSWERS {
        let name = if inputs > MAX_ANSWERS { "prompt" } else { "n" };
        let problem = format!("a request may have {MAX_ANSWERS} answers at most: send several");
        return Err(Refusal::parameter(name, problem));
    }
    Ok(each)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use remuda_tokens::tools::Choice;
    use remuda_types::Constraint;
    use serde_json::{Value, json};

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
        for name in [
            "reasoning_effort",
            "chat_template_kwargs",
            "functions",
            "echo",
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
        let tool = json!({"tools": [{"type": "web_search"}]});
        assert_eq!(refused(tool), ("tools[0].type".to_owned(), true));
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
            "stream": true, "stream_options": {"include_usage": true}, "chat_template_kwargs": {},
        });
        assert!(chat(&harmless).is_ok());
    }

    #[test]
    fn no_logprobs_and_zero_logprobs_are_two_wishes() {
        let top = |read: Result<Wanted, Refusal>| read.unwrap().ask.top_logprobs;
        let with = |value: Value| {
            let body = json!({"model": "m", "prompt": "p", "logprobs": value});
            read(body.to_string().as_bytes(), Door::Completions)
        };
        assert_eq!(top(with(json!(null))), None);
        assert_eq!(top(with(json!(0))), Some(0));
        assert_eq!(top(chat(&json!({"logprobs": false}))), None);
        assert_eq!(top(chat(&json!({"logprobs": true}))), Some(0));
        let five = json!({"logprobs": true, "top_logprobs": 5});
        assert_eq!(top(chat(&five)), Some(5));
        assert_eq!(refused(&json!({"top_logprobs": 5})).0, "top_logprobs");
        let many = json!({"logprobs": true, "top_logprobs": 21});
        assert_eq!(refused(&many).0, "top_logprobs");
    }

    #[test]
    fn several_answers_are_bounded() {
        let body = json!({"model": "m", "prompt": ["a", "b", "c"], "n": 2});
        let wanted = read(body.to_string().as_bytes(), Door::Completions).unwrap();
        assert_eq!((wanted.ask.inputs.len(), wanted.ask.each), (3, 2));
        assert_eq!(refused(&json!({"n": 0})).0, "n");
        assert_eq!(refused(&json!({"n": 33})).0, "n");
        for (prompts, parameter) in [(17, "n"), (33, "prompt")] {
            let body = json!({"model": "m", "prompt": vec!["a"; prompts], "n": 2});
            let refused = read(body.to_string().as_bytes(), Door::Completions);
            assert_eq!(self::parameter(refused).0, parameter);
        }
    }

    fn tool(name: &str) -> Value {
        json!({"type": "function", "function": {"name": name, "parameters": {"type": "object"}}})
    }

    #[test]
    fn tools_are_read_and_checked() {
        let toolbox = |changes: Value| chat(&changes).unwrap().ask.toolbox;
        let two = json!([tool("look"), tool("wait")]);
        let both = toolbox(json!({"tools": two})).unwrap();
        assert_eq!((both.tools.len(), both.parallel), (2, true));
        assert_eq!(both.choice, Choice::Auto);
        assert!(toolbox(json!({"tools": two, "tool_choice": "none"})).is_none());
        let named = json!({"type": "function", "function": {"name": "wait"}});
        let named = toolbox(json!({"tools": two, "tool_choice": named})).unwrap();
        assert_eq!(named.choice, Choice::Named("wait".to_owned()));
        for (tools, choice, parameter) in [
            (
                json!([tool("a b")]),
                json!("auto"),
                "tools[0].function.name",
            ),
            (
                json!([tool("a"), tool("a")]),
                json!("auto"),
                "tools[1].function.name",
            ),
            (
                json!([{"type": "function"}]),
                json!("auto"),
                "tools[0].function",
            ),
            (json!([]), json!("required"), "tool_choice"),
            (json!([tool("a")]), json!("sometimes"), "tool_choice"),
            (
                json!([tool("a")]),
                json!({"type": "function", "function": {"name": "b"}}),
                "tool_choice",
            ),
        ] {
            let body = json!({"tools": tools, "tool_choice": choice});
            assert_eq!(refused(&body).0, parameter, "{body}");
        }
    }

    #[test]
    fn calls_and_results_are_messages() {
        let call = json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}});
        let messages = json!([
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "y"}]},
        ]);
        let wanted = chat(&json!({"messages": messages})).unwrap();
        let Some(Input::Chat(messages)) = wanted.ask.inputs.into_iter().next() else {
            panic!("a chat")
        };
        assert_eq!(messages[1].tool_calls[0].arguments, json!({"a": 1}));
        assert_eq!(messages[2].tool_call_id.as_deref(), Some("c1"));
        let lost = json!([{"role": "tool", "content": "y"}]);
        let name = "messages[0].tool_call_id".to_owned();
        assert_eq!(refused(&json!({"messages": lost})), (name, false));
    }

    #[test]
    fn an_answer_is_held_to_one_form() {
        let form = |changes: Value| chat(&changes).unwrap().ask.form.unwrap().constraint;
        let json_object = json!({"response_format": {"type": "json_object"}});
        assert!(matches!(form(json_object), Constraint::Schema(_)));
        let named = json!({"name": "n", "strict": true, "schema": {"type": "integer"}});
        let schema = json!({"response_format": {"type": "json_schema", "json_schema": named}});
        assert!(matches!(form(schema), Constraint::Schema(text) if text.contains("integer")));
        let choice = json!({"guided_choice": ["a\"b", "c"]});
        let lark = Constraint::Lark(r#"start: "a\"b" | "c""#.to_owned());
        assert_eq!(form(choice), lark);
        let regex = json!({"structured_outputs": {"regex": "a+"}});
        assert_eq!(form(regex), Constraint::Regex("a+".to_owned()));
        let both = json!({"guided_regex": "a", "guided_json": {}});
        assert_eq!(refused(&both), ("guided_regex".to_owned(), false));
        let many = format!("start: A\nA: /a/{}", " & /a/".repeat(17));
        for grammar in ["start: %json {}", &many] {
            let asked = json!({"guided_grammar": grammar});
            assert_eq!(refused(&asked), ("guided_grammar".to_owned(), false));
        }
        let unknown = json!({"response_format": {"type": "xml"}});
        assert_eq!(refused(&unknown).0, "response_format.type");
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
            let prompt = "`prompt` is one text, one list of token ids, or a list of either";
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
    fn prompts_come_in_four_forms() {
        let prompt = |prompt: Value| {
            let body = json!({"model": "m", "prompt": prompt});
            let mut wanted = read(body.to_string().as_bytes(), Door::Completions).unwrap();
            wanted.ask.inputs.remove(0)
        };
        assert!(matches!(prompt(json!("a")), Input::Text(text) if text == "a"));
        assert!(matches!(prompt(json!(["a"])), Input::Text(text) if text == "a"));
        assert!(matches!(prompt(json!([1, 2])), Input::Tokens(ids) if ids == [1, 2]));
        assert!(matches!(prompt(json!([[1, 2]])), Input::Tokens(ids) if ids == [1, 2]));
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
                "tool_choice", "response_format", "structured_outputs", "guided_choice", "logprobs",
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
