//! One call as it is written, character by character: `{"name": …, "arguments": {…}}`.
//!
//! The fields may come in any order. Arguments that come after the name are handed on as they are
//! written; others when the call is whole.

use super::Piece;

/// The names that models give to the arguments.
const ARGUMENTS: [&str; 2] = ["arguments", "parameters"];

/// A call that is being read.
#[derive(Clone, Debug, Default)]
pub(super) struct Call {
    raw: String,
    stage: Stage,
    told: bool,
    /// Whether arguments were handed on already.
    flowing: bool,
    kept: Option<String>,
}

/// What comes next.
#[derive(Clone, Debug, Default)]
enum Stage {
    #[default]
    Open,
    /// A field's name, or the end.
    Field,
    /// Within a field's name, which began at this byte.
    Name {
        start: usize,
        escaped: bool,
    },
    Colon {
        field: String,
    },
    Before {
        field: String,
    },
    Value(Scan),
    Comma,
    Over,
}

/// A value that is being read.
#[derive(Clone, Debug)]
struct Scan {
    field: String,
    start: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

/// How a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    More,
    Whole,
    Wrong,
}

/// Where a value stands after a character.
enum Reach {
    Within,
    /// It ended with this character.
    With,
    /// It ended before this character.
    Before,
}

impl Call {
    /// What was read so far.
    pub(super) fn raw(&self) -> &str {
        &self.raw
    }

    /// Whether the name was handed on.
    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    /// Takes the next character.
    pub(super) fn push(&mut self, c: char, out: &mut Vec<Piece>) -> Step {
        let at = self.raw.len();
        self.raw.push(c);
        let stage = std::mem::take(&mut self.stage);
        match self.next(stage, c, at, out) {
            Some(Stage::Over) => self.close(out),
            Some(stage) => {
                self.stage = stage;
                Step::More
            }
            None => Step::Wrong,
        }
    }

    /// The next stage; nothing when it is no call.
    fn next(&mut self, stage: Stage, c: char, at: usize, out: &mut Vec<Piece>) -> Option<Stage> {
        let blank = c.is_ascii_whitespace();
        let next = match (stage, c) {
            (stage @ (Stage::Open | Stage::Field | Stage::Comma), _) if blank => stage,
            (stage @ (Stage::Colon { .. } | Stage::Before { .. }), _) if blank => stage,
            (Stage::Open, '{') | (Stage::Comma, ',') => Stage::Field,
            (Stage::Field | Stage::Comma, '}') => Stage::Over,
            (Stage::Field, '"') => Stage::Name {
                start: at,
                escaped: false,
            },
            (Stage::Name { start, escaped }, _) => self.name(start, escaped, c)?,
            (Stage::Colon { field }, ':') => Stage::Before { field },
            (Stage::Before { field }, _) => {
                let scan = Scan {
                    field,
                    start: at,
                    depth: 0,
                    in_string: false,
                    escaped: false,
                };
                return self.value(scan, c, out);
            }
            (Stage::Value(scan), _) => return self.value(scan, c, out),
            (Stage::Open | Stage::Field | Stage::Colon { .. } | Stage::Comma | Stage::Over, _) => {
                return None;
            }
        };
        Some(next)
    }

    fn name(&self, start: usize, escaped: bool, c: char) -> Option<Stage> {
        if c == '"' && !escaped {
            let field = serde_json::from_str(&self.raw[start..]).ok()?;
            return Some(Stage::Colon { field });
        }
        let escaped = c == '\\' && !escaped;
        Some(Stage::Name { start, escaped })
    }

    fn value(&mut self, mut scan: Scan, c: char, out: &mut Vec<Piece>) -> Option<Stage> {
        let reach = scan.step(c, self.raw.len() - c.len_utf8() == scan.start);
        let flows = self.told && scan.is_arguments() && self.raw[scan.start..].starts_with('{');
        if flows {
            self.flowing = true;
            out.push(Piece::Arguments(c.into()));
        }
        match reach {
            Reach::Within => Some(Stage::Value(scan)),
            Reach::With => {
                self.take(&scan, self.raw.len(), out)?;
                Some(Stage::Comma)
            }
            Reach::Before => {
                let at = self.raw.len() - c.len_utf8();
                self.take(&scan, at, out)?;
                self.next(Stage::Comma, c, at, out)
            }
        }
    }

    /// A field is whole. None when it cannot be what it is called.
    fn take(&mut self, scan: &Scan, end: usize, out: &mut Vec<Piece>) -> Option<()> {
        let text = &self.raw[scan.start..end];
        if scan.field == "name" && !self.told {
            let name = serde_json::from_str(text).ok()?;
            self.told = true;
            out.push(Piece::Call { name });
        } else if scan.is_arguments() && !self.flowing {
            // Some models write them as a text that holds JSON.
            let inner = serde_json::from_str::<String>(text);
            self.kept = Some(inner.unwrap_or_else(|_| text.to_owned()));
        }
        Some(())
    }

    fn close(&mut self, out: &mut Vec<Piece>) -> Step {
        if !self.told {
            return Step::Wrong;
        }
        if !self.flowing {
            let kept = self.kept.take().filter(|kept| kept != "null");
            out.push(Piece::Arguments(kept.unwrap_or_else(|| "{}".to_owned())));
        }
        Step::Whole
    }
}

impl Scan {
    fn is_arguments(&self) -> bool {
        ARGUMENTS.contains(&self.field.as_str())
    }

    fn step(&mut self, c: char, first: bool) -> Reach {
        if self.in_string {
            return self.in_text(c);
        }
        match c {
            '"' => self.in_string = true,
            '{' | '[' => self.depth += 1,
            '}' | ']' | ',' if self.depth == 0 => return Reach::Before,
            '}' | ']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    return Reach::With;
                }
            }
            _ if c.is_ascii_whitespace() && self.depth == 0 && !first => return Reach::Before,
            _ => {}
        }
        Reach::Within
    }

    fn in_text(&mut self, c: char) -> Reach {
        if c == '"' && !self.escaped {
            self.in_string = false;
            if self.depth == 0 {
                return Reach::With;
            }
        }
        self.escaped = c == '\\' && !self.escaped;
        Reach::Within
    }
}
