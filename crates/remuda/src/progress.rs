//! Progress of what takes more than a moment, on stderr and only for people.

use std::borrow::Cow;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// Between two turns of the wheel.
const TURN: Duration = Duration::from_millis(120);

/// A wheel that turns while something of unknown length goes on. It vanishes when dropped.
pub(crate) fn wheel(output: Output, what: impl Into<Cow<'static, str>>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, target(output));
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar.enable_steady_tick(TURN);
    bar
}

/// A bar over `bytes`.
pub(crate) fn bytes(output: Output, what: impl Into<Cow<'static, str>>, bytes: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(bytes), target(output));
    let template = "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

/// A bar over `count` rounds of something.
pub(crate) fn count(output: Output, what: impl Into<Cow<'static, str>>, count: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(count), target(output));
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {elapsed} {eta}") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

/// stderr; nothing is drawn where that is no terminal.
fn target(output: Output) -> ProgressDrawTarget {
    if output.is_json() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    }
}
