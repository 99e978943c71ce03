//! Tools in words, for models whose template has no place for them: the prompt that Hermes and Qwen
//! were trained on, which others follow well enough.

use std::fmt::Write as _;

use super::{BEGIN, END};
use crate::template::{Conversation, Message, Role};

/// The same conversation without tools: they, calls and results are text of ordinary messages.
pub(crate) fn spelled(conversation: &Conversation) -> Conversation {
    let mut messages: Vec<Message> = Vec::with_capacity(conversation.messages.len() + 1);
    for message in &conversation.messages {
        match (message.role, messages.last_mut()) {
            (Role::Tool, Some(last)) if last.role == Role::User => {
                last.content += "\n";
                last.content += &result(message);
            }
            // Many templates want roles to alternate.
            (Role::User, Some(last)) if last.role == Role::User => {
                last.content += "\n";
                last.content += &message.content;
            }
            (Role::Tool, _) => messages.push(Message::new(Role::User, result(message))),
            (role, _) => messages.push(Message::new(role, with_calls(message))),
        }
    }
    if !conversation.tools.is_empty() {
        introduce(&mut messages, &introduction(conversation));
    }
    Conversation {
        messages,
        tools: Vec::new(),
        ..*conversation
    }
}

fn result(message: &Message) -> String {
    format!("<tool_response>\n{}\n</tool_response>", message.content)
}

fn with_calls(message: &Message) -> String {
    let mut text = message.content.clone();
    for call in &message.tool_calls {
        if !text.is_empty() {
            text.push('\n');
        }
        let written = serde_json::json!({"name": call.name, "arguments": call.arguments});
        // Writing to a String has no error.
        write!(text, "{BEGIN}\n{written}\n{END}").unwrap_or_default();
    }
    text
}

fn introduction(conversation: &Conversation) -> String {
    let tools = conversation
        .tools
        .iter()
        .map(|tool| tool.json().to_string());
    let tools = tools.collect::<Vec<_>>().join("\n");
    format!(
        "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n\
         You are provided with function signatures within <tools></tools> XML tags:\n\
         <tools>\n{tools}\n</tools>\n\n\
         For each function call, return a json object with function name and arguments within \
         {BEGIN}{END} XML tags:\n\
         {BEGIN}\n{{\"name\": <function-name>, \"arguments\": <args-json-object>}}\n{END}"
    )
}

/// Puts the tools behind what the operator says first.
fn introduce(messages: &mut Vec<Message>, introduction: &str) {
    match messages.first_mut() {
        Some(first) if matches!(first.role, Role::System | Role::Developer) => {
            first.content += "\n\n";
            first.content += introduction;
        }
        _ => messages.insert(0, Message::new(Role::System, introduction)),
    }
}
