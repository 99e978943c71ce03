//! Calls in a stream of text: what is for people, and what is a call.
//!
//! What looked like a call and is none is text after all. What comes out does not depend on how the
//! text was cut.

use super::call::{Call, Step};
use super::{BEGIN, END, Style};

/// A part of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// More text.
    Text(String),
    /// A call begins; what follows belongs to it until the next one.
    Call {
        /// Of which function, as the model wrote it.
        name: String,
    },
    /// More of the arguments of the last call, as JSON.
    Arguments(String),
}

/// Reads the output of a model that may call tools.
#[derive(Clone, Debug)]
pub struct Reader {
    style: Style,
    state: State,
    /// Text that may still become something else.
    held: String,
    calls: u32,
}

#[derive(Clone, Debug)]
enum State {
    /// Nothing but blanks so far; only a bare call can begin here.
    Start,
    Text,
    Call(Call),
    /// After a call.
    After,
}

impl Reader {
    /// At the start of an output.
    pub fn new(style: Style) -> Self {
        let state = match style {
            Style::Tagged => State::Text,
            Style::Bare => State::Start,
        };
        Self {
            style,
            state,
            held: String::new(),
            calls: 0,
        }
    }

    /// How many calls have begun.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// Takes more text.
    pub fn push(&mut self, text: &str) -> Vec<Piece> {
        self.held.push_str(text);
        let mut out = Vec::new();
        while self.advance(&mut out) {}
        merged(out)
    }

    /// Ends the output.
    pub fn finish(mut self) -> Vec<Piece> {
        let rest = match self.state {
            State::Call(call) if !call.is_told() => self.style.begin().to_owned() + call.raw(),
            State::Call(_) | State::After => String::new(),
            State::Start | State::Text => std::mem::take(&mut self.held),
        };
        let shown = self.calls == 0 || !rest.trim().is_empty();
        let text = (shown && !rest.is_empty()).then_some(Piece::Text(rest));
        text.into_iter().collect()
    }

    /// Does what can be done with what is held; false when more has to come.
    fn advance(&mut self, out: &mut Vec<Piece>) -> bool {
        match &mut self.state {
            State::Start => self.start(),
            State::Text => self.text(out),
            State::Call(_) => self.call(out),
            State::After => self.after(),
        }
    }

    fn start(&mut self) -> bool {
        let Some(first) = self.held.trim_start().chars().next() else {
            return false;
        };
        self.state = if first == '{' {
            State::Call(Call::default())
        } else {
            State::Text
        };
        true
    }

    fn text(&mut self, out: &mut Vec<Piece>) -> bool {
        let begin = self.style.begin();
        if begin.is_empty() {
            emit(&mut self.held, usize::MAX, out);
            return false;
        }
        if let Some(at) = self.held.find(begin) {
            // Blanks before a call are not for people.
            let mut before = self.held[..at].trim_end().to_owned();
            emit(&mut before, usize::MAX, out);
            self.held.drain(..at + begin.len());
            self.state = State::Call(Call::default());
            return true;
        }
        let certain = self.held.len() - uncertain(&self.held, begin);
        emit(&mut self.held, certain, out);
        false
    }

    fn call(&mut self, out: &mut Vec<Piece>) -> bool {
        let State::Call(call) = &mut self.state else {
            return false;
        };
        let was_told = call.is_told();
        let mut used = 0;
        let mut step = Step::More;
        for c in self.held.chars() {
            used += c.len_utf8();
            step = call.push(c, out);
            if step != Step::More {
                break;
            }
        }
        self.calls += u32::from(call.is_told() && !was_told);
        self.held.drain(..used);
        match step {
            Step::More => return false,
            Step::Whole => self.state = State::After,
            Step::Wrong => {
                if !call.is_told() {
                    out.push(Piece::Text(self.style.begin().to_owned() + call.raw()));
                }
                self.state = State::Text;
            }
        }
        true
    }

    fn after(&mut self) -> bool {
        let rest = self.held.trim_start();
        if rest.is_empty() {
            return false;
        }
        let (state, used) = match self.style {
            Style::Tagged => match rest.strip_prefix(END) {
                Some(left) => (State::Text, self.held.len() - left.len()),
                None if END.starts_with(rest) => return false,
                None => (State::Text, 0),
            },
            Style::Bare => match rest.strip_prefix([';', ',']) {
                Some(left) => (State::After, self.held.len() - left.len()),
                None if rest.starts_with('{') => (State::Call(Call::default()), 0),
                None => (State::Text, 0),
            },
        };
        self.held.drain(..used);
        self.state = state;
        true
    }
}

impl Style {
    fn begin(self) -> &'static str {
        match self {
            Self::Tagged => BEGIN,
            Self::Bare => "",
        }
    }
}

/// Moves the first `bytes` of `held` out as text.
fn emit(held: &mut String, bytes: usize, out: &mut Vec<Piece>) {
    let text: String = held.drain(..bytes.min(held.len())).collect();
    if !text.is_empty() {
        out.push(Piece::Text(text));
    }
}

/// How many bytes at the end may belong to a call: blanks, and what `begin` begins with.
fn uncertain(text: &str, begin: &str) -> usize {
    let cut = (0..begin.len()).rev().map(|length| &begin[..length]);
    let start = cut.into_iter().find(|start| text.ends_with(start));
    let before = text[..text.len() - start.map_or(0, str::len)].trim_end();
    text.len() - before.len()
}

/// Neighbours of one kind made one.
fn merged(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut merged: Vec<Piece> = Vec::with_capacity(pieces.len().min(4));
    for piece in pieces {
        match (merged.last_mut(), piece) {
            (Some(Piece::Text(text)), Piece::Text(more))
            | (Some(Piece::Arguments(text)), Piece::Arguments(more)) => text.push_str(&more),
            (_, piece) => merged.push(piece),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(style: Style, cuts: &[&str]) -> Vec<Piece> {
        let mut reader = Reader::new(style);
        let mut pieces: Vec<Piece> = cuts.iter().flat_map(|cut| reader.push(cut)).collect();
        pieces.extend(reader.finish());
        merged(pieces)
    }

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    fn call(name: &str, arguments: &str) -> [Piece; 2] {
        let name = name.to_owned();
        [Piece::Call { name }, Piece::Arguments(arguments.to_owned())]
    }

    #[test]
    fn calls_are_told_from_the_text_around_them() {
        let output = "Let me see. \n<tool_call>\n{\"name\": \"look\", \"arguments\": {\"at\": \"a}\\\"b\"}}\n</tool_call>\n<tool_call>{\"arguments\": {}, \"name\": \"wait\"}</tool_call>\n";
        let mut expected = vec![text("Let me see.")];
        expected.extend(call("look", "{\"at\": \"a}\\\"b\"}"));
        expected.extend(call("wait", "{}"));
        assert_eq!(read(Style::Tagged, &[output]), expected);
    }

    #[test]
    fn arguments_flow_as_they_are_written() {
        let mut reader = Reader::new(Style::Tagged);
        let begun = reader.push("<tool_call>{\"name\": \"say\", \"arguments\": {\"te");
        assert_eq!(begun, call("say", "{\"te"));
        assert_eq!(reader.calls(), 1);
        assert_eq!(
            reader.push("xt\": 1"),
            [Piece::Arguments("xt\": 1".to_owned())]
        );
    }

    #[test]
    fn a_bare_call_is_the_whole_output() {
        let output =
            " {\"name\": \"f\", \"parameters\": {\"n\": [1, {\"m\": 2}]}}; {\"name\": \"g\"}";
        let mut expected = call("f", "{\"n\": [1, {\"m\": 2}]}").to_vec();
        expected.extend(call("g", "{}"));
        assert_eq!(read(Style::Bare, &[output]), expected);
        for output in ["{\"answer\": 4}", "no {\"name\": \"f\"}", "{", "{1}"] {
            assert_eq!(read(Style::Bare, &[output]), [text(output)]);
        }
    }

    #[test]
    fn arguments_in_a_text_or_absent_are_an_object_all_the_same() {
        let written = "<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}</tool_call>";
        assert_eq!(read(Style::Tagged, &[written]), call("f", "{\"a\":1}"));
        let absent = "<tool_call>{\"name\":\"f\",\"arguments\": null }</tool_call>";
        assert_eq!(read(Style::Tagged, &[absent]), call("f", "{}"));
    }

    #[test]
    fn what_is_no_call_is_text() {
        for output in [
            "<tool_call>no</tool_call> ",
            "<tool_call>{\"name\": 5}",
            "<tool_call>{\"arguments\": {}}",
            "<tool_ca",
            "a < b",
            "<tool_call>",
        ] {
            assert_eq!(read(Style::Tagged, &[output]), [text(output)], "{output}");
        }
    }

    fn likely() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just("<tool_call>".to_owned()),
            Just("</tool_call>".to_owned()),
            Just("{\"name\": \"f\", \"arguments\": {\"a\": [1, \"}\\\\\"]}}".to_owned()),
            Just("{\"arguments\": 7, \"name\": \"g\"}".to_owned()),
            "[ \n{}\":,a\\\\<é]{0,6}",
        ];
        proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(output in likely(), bare: bool) {
            let style = if bare { Style::Bare } else { Style::Tagged };
            let whole = read(style, &[&output]);
            let characters: Vec<String> = output.chars().map(String::from).collect();
            let cut: Vec<&str> = characters.iter().map(String::as_str).collect();
            prop_assert_eq!(read(style, &cut), whole);
        }

        #[test]
        fn without_a_marker_nothing_is_lost(output in "[^{]{0,40}") {
            for style in [Style::Tagged, Style::Bare] {
                let shown: String = read(style, &[&output]).into_iter().map(|piece| match piece {
                    Piece::Text(text) => text,
                    other => panic!("{other:?}"),
                }).collect();
                prop_assert_eq!(&shown, &output);
            }
        }
    }
}
