//! A chat template, compiled and rendered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remuda_tokens::{ChatTemplate, Conversation, Message, Role};
use remuda_types::Time;

fuzz_target!(|bytes: &[u8]| {
    let Ok(source) = std::str::from_utf8(bytes) else {
        return;
    };
    let conversation = Conversation {
        messages: vec![Message::new(Role::System, "Be brief."), Message::new(Role::User, "Hello!")],
        tools: Vec::new(),
        add_generation_prompt: true,
        now: Time::from_millis(1_700_000_000_000),
    };
    if let Ok(template) = ChatTemplate::compile(source, "<s>", "</s>") {
        let _either = template.render(&conversation).is_ok();
    }
});
