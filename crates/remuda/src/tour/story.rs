//! What the tour tells: steps with a number, what happened in them, text as it streams.

use std::borrow::Cow;
use std::io::{self, Write};

use indicatif::ProgressBar;
use serde_json::Value;

use crate::output::Output;
use crate::progress;

/// A story under way.
#[derive(Debug)]
pub(super) struct Story {
    output: Output,
    number: u32,
    step: &'static str,
}

impl Story {
    pub(super) fn new(output: Output) -> Self {
        Self {
            output,
            number: 0,
            step: "the beginning",
        }
    }

    /// Begins a step.
    pub(super) fn begin(&mut self, step: &'static str) {
        self.number += 1;
        self.step = step;
        self.tell(&format!("\n{:>2}. {step}\n", self.number));
    }

    /// The step that it is at.
    pub(super) const fn step(&self) -> &'static str {
        self.step
    }

    /// What happened; each line is set in.
    pub(super) fn say(&self, text: &str) {
        for line in text.lines() {
            self.tell(format!("    {line}").trim_end());
            self.tell("\n");
        }
    }

    /// A piece of a text that streams.
    pub(super) fn stream(&self, piece: &str) {
        self.tell(&piece.replace('\n', "\n    "));
    }

    /// Progress of what takes longer.
    pub(super) fn wheel(&self, what: impl Into<Cow<'static, str>>) -> ProgressBar {
        progress::wheel(self.output, what)
    }

    /// What programs get of all this.
    pub(super) fn result(&self, value: &Value) -> io::Result<()> {
        if self.output.is_json() {
            self.output.item(value, |_| String::new())
        } else {
            Ok(())
        }
    }

    /// Where stdout is gone, nobody is left to tell; the network goes on.
    fn tell(&self, text: &str) {
        if !self.output.is_json() {
            self.output.raw(text.as_bytes()).unwrap_or_default();
            io::stdout().flush().unwrap_or_default();
        }
    }
}
