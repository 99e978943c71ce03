//! Small GGUF files, written here byte by byte so that the reader is tested against the format and not
//! against a writer of the same crate.

/// A value to write.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Bool(bool),
    U32(u32),
    U64(u64),
    F32(f32),
    Text(String),
    Texts(Vec<String>),
    I32s(Vec<i32>),
    Bytes(Vec<u8>),
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn array(out: &mut Vec<u8>, kind: u32, length: usize) {
    out.extend(9_u32.to_le_bytes());
    out.extend(kind.to_le_bytes());
    out.extend((length as u64).to_le_bytes());
}

fn item(out: &mut Vec<u8>, item: &Item) {
    match item {
        Item::Bool(value) => {
            out.extend(7_u32.to_le_bytes());
            out.push(u8::from(*value));
        }
        Item::U32(value) => {
            out.extend(4_u32.to_le_bytes());
            out.extend(value.to_le_bytes());
        }
        Item::U64(value) => {
            out.extend(10_u32.to_le_bytes());
            out.extend(value.to_le_bytes());
        }
        Item::F32(value) => {
            out.extend(6_u32.to_le_bytes());
            out.extend(value.to_le_bytes());
        }
        Item::Text(value) => {
            out.extend(8_u32.to_le_bytes());
            text(out, value);
        }
        Item::Texts(values) => {
            array(out, 8, values.len());
            for value in values {
                text(out, value);
            }
        }
        Item::I32s(values) => {
            array(out, 5, values.len());
            for value in values {
                out.extend(value.to_le_bytes());
            }
        }
        Item::Bytes(values) => {
            array(out, 0, values.len());
            out.extend(values);
        }
    }
}

/// The bytes up to the end of the metadata, and one tensor's info after them.
pub(crate) fn file(items: &[(&str, Item)]) -> (Vec<u8>, usize) {
    let mut out = b"GGUF".to_vec();
    out.extend(3_u32.to_le_bytes());
    out.extend(1_u64.to_le_bytes());
    out.extend((items.len() as u64).to_le_bytes());
    for (key, value) in items {
        text(&mut out, key);
        item(&mut out, value);
    }
    let metadata_end = out.len();
    text(&mut out, "token_embd.weight");
    out.extend(2_u32.to_le_bytes());
    out.extend([0; 16]);
    out.extend(0_u32.to_le_bytes());
    out.extend(0_u64.to_le_bytes());
    (out, metadata_end)
}

/// The byte-level alphabet, by its definition.
fn alphabet() -> Vec<String> {
    let own = |byte: &u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let mut next = 0x100;
    let symbol = |byte: u32| {
        if own(&byte) {
            return byte;
        }
        next += 1;
        next - 1
    };
    (0..256)
        .map(symbol)
        .map(|code| char::from_u32(code).unwrap().to_string())
        .collect()
}

pub(crate) const IM_START: u32 = 256;
pub(crate) const IM_END: u32 = 257;
pub(crate) const THINK: u32 = 258;
pub(crate) const TEMPLATE: &str = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// A model of bytes, three special tokens and the merges `h e`, `l l`, `he ll`, `hell o`, `Ġ hello`.
pub(crate) fn model() -> Vec<(&'static str, Item)> {
    let mut tokens = alphabet();
    let mut types = vec![1; tokens.len()];
    tokens.extend(["<|im_start|>", "<|im_end|>", "<think>"].map(str::to_owned));
    types.extend([3, 3, 4]);
    let merges = ["h e", "l l", "he ll", "hell o", "\u{120} hello"]
        .map(str::to_owned)
        .to_vec();
    tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
    types.resize(tokens.len(), 1);
    vec![
        ("general.architecture", Item::Text("llama".to_owned())),
        ("general.name", Item::Text("sample".to_owned())),
        ("llama.context_length", Item::U32(2_048)),
        ("llama.scale", Item::F32(0.5)),
        ("llama.big", Item::U64(u64::MAX)),
        ("tokenizer.ggml.model", Item::Text("gpt2".to_owned())),
        ("tokenizer.ggml.pre", Item::Text("smollm".to_owned())),
        ("tokenizer.ggml.tokens", Item::Texts(tokens)),
        ("tokenizer.ggml.token_type", Item::I32s(types)),
        ("tokenizer.ggml.merges", Item::Texts(merges)),
        ("tokenizer.ggml.bos_token_id", Item::U32(IM_START)),
        ("tokenizer.ggml.eos_token_id", Item::U32(IM_END)),
        ("tokenizer.ggml.add_bos_token", Item::Bool(false)),
        ("tokenizer.chat_template", Item::Text(TEMPLATE.to_owned())),
        ("tokenizer.extra", Item::Bytes(vec![1, 2, 255])),
    ]
}

/// [`model`] with one key changed.
pub(crate) fn model_with(key: &'static str, item: Item) -> Vec<(&'static str, Item)> {
    let mut items = model();
    items.retain(|(other, _)| *other != key);
    items.push((key, item));
    items
}

/// Reads what [`file`] wrote.
pub(crate) fn parse(items: &[(&str, Item)]) -> remuda_tokens::gguf::Metadata {
    remuda_tokens::gguf::Metadata::parse(&file(items).0).unwrap()
}
