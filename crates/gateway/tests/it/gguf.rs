//! A small GGUF head: a vocabulary of bytes (a token's id is its byte) and a chat template.

const CONTROL: [&str; 2] = ["<|im_start|>", "<|im_end|>"];
const TEMPLATE: &str = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// The head of a model file.
pub(crate) fn head() -> Vec<u8> {
    let mut tokens = alphabet();
    let mut types = vec![1_i32; tokens.len()];
    tokens.extend(CONTROL.map(str::to_owned));
    types.extend([3, 3]);
    let mut out = b"GGUF".to_vec();
    out.extend(3_u32.to_le_bytes());
    out.extend(0_u64.to_le_bytes());
    out.extend(8_u64.to_le_bytes());
    text_value(&mut out, "general.architecture", "llama");
    text_value(&mut out, "tokenizer.ggml.model", "gpt2");
    text_value(&mut out, "tokenizer.ggml.pre", "smollm");
    text_value(&mut out, "tokenizer.chat_template", TEMPLATE);
    key(&mut out, "tokenizer.ggml.tokens", 9);
    array(&mut out, 8, tokens.len());
    for token in &tokens {
        text(&mut out, token);
    }
    key(&mut out, "tokenizer.ggml.token_type", 9);
    array(&mut out, 5, types.len());
    for kind in &types {
        out.extend(kind.to_le_bytes());
    }
    key(&mut out, "tokenizer.ggml.merges", 9);
    array(&mut out, 8, 0);
    key(&mut out, "tokenizer.ggml.eos_token_id", 4);
    out.extend(257_u32.to_le_bytes());
    out
}

fn key(out: &mut Vec<u8>, name: &str, kind: u32) {
    text(out, name);
    out.extend(kind.to_le_bytes());
}

fn text_value(out: &mut Vec<u8>, name: &str, value: &str) {
    key(out, name, 8);
    text(out, value);
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn array(out: &mut Vec<u8>, kind: u32, length: usize) {
    out.extend(kind.to_le_bytes());
    out.extend((length as u64).to_le_bytes());
}

/// The byte-level alphabet, by its definition.
fn alphabet() -> Vec<String> {
    let own = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let mut next = 0x100;
    let mut symbol = |byte: u32| {
        if own(byte) {
            return byte;
        }
        next += 1;
        next - 1
    };
    (0..256)
        .map(|byte| char::from_u32(symbol(byte)).unwrap().to_string())
        .collect()
}

/// Token ids of a text.
pub(crate) fn ids(text: &str) -> Vec<u32> {
    text.bytes().map(u32::from).collect()
}
