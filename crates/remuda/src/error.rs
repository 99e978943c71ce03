//! What a person or a program is told when a command failed: what, why, and what to do next.

use std::error::Error;
use std::fmt;

use clap::error::ErrorKind;
use remuda_sim::file::ReadError;
use remuda_wire::api::problem::FieldError;
use serde::Serialize;

use crate::client;
use crate::exit::Exit;
use crate::policy::PolicyError;
use crate::settings;
use crate::spec::SpecError;

/// A failure that a command states itself. `message` is a lower-case fragment.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    way_out: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What is printed on stderr: text for people, one JSON document with `--json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    /// Stable, for programs: the network's own code where it refused.
    pub(crate) code: String,
    /// What and why.
    pub(crate) message: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) way_out: Option<String>,
    /// Of the request that failed: quote it when you ask for help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
    /// The fields that are wrong; the message holds them as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<FieldError>,
    /// The exit code.
    #[serde(skip)]
    pub(crate) exit: Exit,
}

impl Failure {
    /// A failure and what to do next.
    pub(crate) fn new(exit: Exit, message: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            way_out: way_out.into(),
            source: None,
        }
    }

    /// What caused it.
    pub(crate) fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

impl Report {
    /// What to tell about `error`: the outermost of its causes that knows a way out decides.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        let message = chain(error.as_ref());
        error
            .chain()
            .find_map(|cause| known(cause, &message))
            .unwrap_or_else(|| Self::internal(message))
    }

    /// What to tell about arguments that are none.
    pub(crate) fn of_usage(error: &clap::Error) -> Self {
        let rendered = error.to_string();
        let first = rendered.split("\n\n").next().unwrap_or_default();
        let message = match error.kind() {
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "a command is missing",
            _ => first.trim_start_matches("error: ").trim(),
        };
        Self::new(Exit::Usage, message, "`--help` lists what is expected")
    }

    fn new(exit: Exit, message: &str, way_out: &str) -> Self {
        Self {
            code: code(exit).to_owned(),
            message: message.to_owned(),
            way_out: Some(way_out.to_owned()).filter(|way_out| !way_out.is_empty()),
            request_id: None,
            errors: Vec::new(),
            exit,
        }
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "a function to map errors with"
    )]
    fn internal(message: String) -> Self {
        Self::new(
            Exit::Internal,
            &message,
            "run it again with `--log debug` to see more",
        )
    }
}

fn known(cause: &(dyn Error + 'static), message: &str) -> Option<Report> {
    if let Some(failure) = cause.downcast_ref::<Failure>() {
        return Some(Report::new(failure.exit, message, &failure.way_out));
    }
    if let Some(error) = cause.downcast_ref::<ReadError>() {
        return Some(Report::new(Exit::Usage, message, &error.way_out()));
    }
    if let Some((exit, way_out)) = of_files(cause) {
        return Some(Report::new(exit, message, way_out));
    }
    let error = cause.downcast_ref::<client::Error>()?;
    let mut report = Report::new(error.exit(), message, &error.way_out());
    if let client::Error::Problem(problem) = error {
        report.code.clone_from(&problem.code);
        report.request_id = Some(problem.instance.clone());
        report.errors.clone_from(&problem.errors);
    }
    Some(report)
}

/// What is wrong in the files that a person writes.
fn of_files(cause: &(dyn Error + 'static)) -> Option<(Exit, &'static str)> {
    if let Some(SpecError::Read { .. }) = cause.downcast_ref() {
        return Some((
            Exit::Usage,
            "name the spec's file, as in `remuda deploy app.yaml`",
        ));
    }
    if cause.is::<SpecError>() {
        return Some((
            Exit::Usage,
            "mend the spec; `remuda deploy --schema` prints what it may hold",
        ));
    }
    if cause.is::<settings::LoadError>() {
        return Some((
            Exit::Usage,
            "mend the file, or name another with `--config`",
        ));
    }
    if cause.is::<settings::UnresolvedError>() {
        let way_out = "`remuda profile ls` lists the profiles, `remuda profile set` changes one";
        return Some((Exit::Usage, way_out));
    }
    if cause.is::<settings::WriteError>() {
        return Some((
            Exit::Internal,
            "look at the file's rights, or name another with `--config`",
        ));
    }
    if cause.is::<PolicyError>() {
        return Some((Exit::Usage, "mend the file that `--policy` names"));
    }
    None
}

const fn code(exit: Exit) -> &'static str {
    match exit {
        Exit::Ok => "ok",
        Exit::Internal => "internal",
        Exit::Usage => "usage",
        Exit::Refused => "refused",
        Exit::NotFound => "not-found",
        Exit::Unauthorised => "unauthorised",
        Exit::Unreachable => "unreachable",
        Exit::TimedOut => "timed-out",
        Exit::Unverified => "unverified",
    }
}

/// An error with its sources, on one line. A source that only repeats what was said is left out.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        if let Some(way_out) = &self.way_out {
            write!(f, "\n  next: {way_out}")?;
        }
        if let Some(request) = &self.request_id {
            write!(f, "\n  request: {request}")?;
        }
        Ok(())
    }
}
