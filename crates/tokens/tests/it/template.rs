//! Chat templates, kind and hostile.

use proptest::prelude::*;
use remuda_tokens::template::{Error, MAX_SOURCE_BYTES};
use remuda_tokens::tools::{Style, Tool, ToolCall};
use remuda_tokens::{ChatTemplate, Conversation, Message, Role, Tokenizer, prompt};
use remuda_types::Time;
use serde_json::json;

use crate::sample;

fn conversation(messages: &[(Role, &str)]) -> Conversation {
    let message = |(role, content): &(Role, &str)| Message::new(*role, *content);
    Conversation {
        messages: messages.iter().map(message).collect(),
        tools: Vec::new(),
        add_generation_prompt: true,
        // 2026-11-22T10:00:00Z
        now: Time::from_millis(1_795_341_600_000),
    }
}

fn render(source: &str) -> Result<String, Error> {
    let hello = conversation(&[(Role::System, "Be kind."), (Role::User, " hi ")]);
    ChatTemplate::compile(source, "<s>", "</s>")?.render(&hello)
}

#[test]
fn templates_run_as_in_python() {
    let cases = [
        (
            "{{ bos_token }}{{ messages[1].content | trim }}{{ eos_token }}",
            "<s>hi</s>",
        ),
        (
            "{% for m in messages %}\n    {{ m['role'] }}\n{% endfor %}",
            "    system\n    user\n",
        ),
        ("{{ strftime_now('%d %b %Y') }}", "22 Nov 2026"),
        (
            "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
            "2",
        ),
        (
            "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.role }}{% endfor %}",
            "user",
        ),
        ("{{ 'a,b'.split(',')[-1].upper() + ' x '.strip() }}", "Bx"),
        ("{{ messages[1].content.startswith(' ') }}", "True"),
        (
            "{{ {'a': [1, 'é<'], 'b': none} | tojson }}",
            "{\"a\": [1, \"é<\"], \"b\": null}",
        ),
        ("{{ [1] | tojson(indent=2) }}", "[\n  1\n]"),
        (
            "{{ 'a-b'.replace('-', '+') }}{{ ', '.join(['x', 'y']) }}{{ ['p', 'q'] | join('/') }}",
            "a+bx, yp/q",
        ),
        ("{% if tools is none %}none{% endif %}{{ missing }}", "none"),
        (
            "{{ messages[1:] | length }}{{ messages | map(attribute='role') | list | length }}",
            "12",
        ),
    ];
    for (source, expected) in cases {
        assert_eq!(render(source).unwrap(), expected, "{source}");
    }
}

#[test]
fn a_template_may_refuse() {
    let raised = render("{{ raise_exception('roles must alternate') }}").unwrap_err();
    assert!(matches!(raised, Error::Raised { message } if message == "roles must alternate"));
    assert!(matches!(render("{% if %}").unwrap_err(), Error::Syntax(_)));
    let long = "x".repeat(MAX_SOURCE_BYTES + 1);
    assert!(matches!(
        render(&long).unwrap_err(),
        Error::SourceTooLong { .. }
    ));
}

#[test]
fn endless_work_ends() {
    let range = "{% for a in range(10000) %}".repeat(4);
    let source = format!("{range}x{}", "{% endfor %}".repeat(4));
    assert!(matches!(render(&source).unwrap_err(), Error::OutOfFuel));
}

#[test]
fn huge_output_is_refused() {
    let text = "x".repeat(1_000);
    let source = format!("{{% set t = '{text}' * 1000 %}}{}", "{{ t }}".repeat(9));
    assert!(matches!(render(&source).unwrap_err(), Error::OutputTooLong));
}

#[test]
fn growth_without_charge_is_refused() {
    let sources = [
        "{% set a = 'a' * 1000000 %}{{ a.replace('a', a) }}",
        "{% set a = 'a' * 1000000 %}{{ a.join(range(10000)) }}",
        "{% set a = 'a' * 1000000 %}{{ range(10000) | join(a) }}",
        "{% set ns = namespace(x=['a']) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=['a']) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}",
        "{% set ns = namespace(x=['a']) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | string }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ '{:>1000000000}'.format(1) }}",
    ];
    for source in sources {
        assert!(render(source).is_err(), "{source}");
    }
}

#[test]
fn deep_recursion_is_refused_and_deep_values_are_survived() {
    let endless = "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}";
    assert!(matches!(render(endless).unwrap_err(), Error::Failed(_)));
    assert!(matches!(
        render(&"(".repeat(100_000)).map(|text| text.len()),
        Ok(100_000)
    ));
    assert!(matches!(
        render(&format!("{{{{ {} }}}}", "(".repeat(100_000))),
        Err(Error::Syntax(_))
    ));
    let wrapped = format!("{}ns.x{}", "[".repeat(30), "]".repeat(30));
    let deepest = (1..20_001).rev().step_by(250).map(|times| {
        format!(
            "{{% set ns = namespace(x=[]) %}}{{% for i in range({times}) %}}{{% set ns.x = {wrapped} %}}{{% endfor %}}"
        )
    });
    // The deepest that the fuel allows, with some left to look at it.
    let nest = deepest
        .into_iter()
        .find(|nest| render(nest).is_ok())
        .unwrap();
    for end in ["{{ ns.x }}", "{{ ns.x | tojson }}", "{{ ns.x == ns.x }}"] {
        // Any result: what is tested is that the process is still there.
        let _result = render(&format!("{nest}{end}"));
    }
}

proptest! {
    #[test]
    fn random_templates_never_panic(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("{{ "), Just(" }}"), Just("{% for m in messages %}"), Just("{% endfor %}"),
                Just("{% set x = "), Just(" %}"), Just("messages"), Just("[0]"), Just(".content"),
                Just("x"), Just(" | tojson"), Just(" | join"), Just(" * 100000"), Just(" + "),
                Just("'a'"), Just("["), Just("]"), Just("{% if x %}"), Just("{% endif %}"), Just("\u{fdd0}"),
            ],
            0..20,
        ),
    ) {
        if let Ok(text) = render(&pieces.concat()) {
            prop_assert!(text.len() <= remuda_tokens::template::MAX_PROMPT_BYTES);
        }
    }
}

fn with_tools() -> Conversation {
    let call = ToolCall {
        id: "c1".to_owned(),
        name: "look".to_owned(),
        arguments: json!({"at": "left"}),
    };
    let mut conversation = conversation(&[
        (Role::User, "What is there?"),
        (Role::Assistant, "Let me see."),
        (Role::Tool, "a door"),
    ]);
    conversation.messages[1].tool_calls = vec![call];
    conversation.messages[2].tool_call_id = Some("c1".to_owned());
    conversation.tools = vec![Tool {
        name: "look".to_owned(),
        description: Some("Looks.".to_owned()),
        parameters: Some(json!({"type": "object", "properties": {"at": {"type": "string"}}})),
        strict: false,
    }];
    conversation
}

/// A template in the manner of Qwen's.
const TAGGED: &str = "{% for tool in tools or [] %}{{ tool | tojson }}\n{% endfor %}\
    {% for m in messages %}{{ m.role }}: {{ m.content }}\
    {% for c in m.tool_calls or [] %}<tool_call>{{ c.function.name }} {{ c.function.arguments | tojson }}</tool_call>{% endfor %}\
    {{ m.tool_call_id }}\n{% endfor %}";

#[test]
fn templates_that_know_tools_are_given_them() {
    let template = ChatTemplate::compile(TAGGED, "", "").unwrap();
    assert_eq!(template.tool_style(), Style::Tagged);
    assert_eq!(
        template.render(&with_tools()).unwrap(),
        "{\"type\": \"function\", \"function\": {\"name\": \"look\", \"description\": \"Looks.\", \
         \"parameters\": {\"type\": \"object\", \"properties\": {\"at\": {\"type\": \"string\"}}}}}\n\
         user: What is there?\n\
         assistant: Let me see.<tool_call>look {\"at\": \"left\"}</tool_call>\n\
         tool: a doorc1\n"
    );
}

#[test]
fn others_are_told_of_tools_in_words() {
    let plain = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}";
    let template = ChatTemplate::compile(plain, "", "").unwrap();
    let tokenizer = Tokenizer::from_gguf(&sample::parse(&sample::model())).unwrap();
    let prompt = prompt::prepare(&template, &tokenizer, &with_tools()).unwrap();
    assert!(
        prompt.text.starts_with("<system># Tools\n"),
        "{}",
        prompt.text
    );
    assert!(prompt.text.contains("<tools>\n{\"type\":\"function\""));
    let end = "<user>What is there?\n\
        <assistant>Let me see.\n<tool_call>\n{\"name\":\"look\",\"arguments\":{\"at\":\"left\"}}\n</tool_call>\n\
        <user><tool_response>\na door\n</tool_response>\n";
    assert!(prompt.text.ends_with(end), "{}", prompt.text);
}
