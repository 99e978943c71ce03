//! Why a call to control failed, which exit code that is, and what to do next.

use remuda_link::ClientError;
use remuda_wire::api::Problem;
use reqwest::{StatusCode, Url};

use crate::exit::Exit;

/// Why a call to control failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The client itself could not be made.
    #[error("the HTTP client cannot be set up")]
    Unbuilt(#[from] ClientError),
    /// Nobody listens there.
    #[error("cannot reach control at {url}")]
    Unreachable {
        /// Where it was tried.
        url: Url,
        /// What the system said.
        #[source]
        source: reqwest::Error,
    },
    /// No answer came in time.
    #[error("control at {url} did not answer in time")]
    TimedOut {
        /// Where it was tried.
        url: Url,
        /// What the system said.
        #[source]
        source: reqwest::Error,
    },
    /// The connection broke before the answer was whole.
    #[error("the connection to control at {url} broke")]
    Lost {
        /// Where it was tried.
        url: Url,
        /// What the system said.
        #[source]
        source: reqwest::Error,
    },
    /// Control says why not.
    #[error("{}", .0.detail)]
    Problem(Box<Problem>),
    /// Whatever answered is no control, or one of another version.
    #[error("{url} gave an answer that is not control's (status {status})")]
    Unexpected {
        /// Where it was tried.
        url: Url,
        /// The answer's status.
        status: StatusCode,
        /// What could not be read.
        #[source]
        source: Option<serde_json::Error>,
    },
}

impl Error {
    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Unbuilt(_) => Exit::Internal,
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Unexpected { .. } => {
                Exit::Unreachable
            }
            Self::TimedOut { .. } => Exit::TimedOut,
            Self::Problem(problem) => of_status(problem.status),
        }
    }

    /// What to do next; empty where what control said holds it.
    pub(crate) fn way_out(&self) -> String {
        match self {
            Self::Unbuilt(_) => {
                "look at what the system says about its root certificates".to_owned()
            }
            Self::Unreachable { .. } => {
                "start a network here with `remuda up`, or name another with `--url` or `--profile`"
                    .to_owned()
            }
            Self::TimedOut { .. } | Self::Lost { .. } => {
                "look at `remuda status` whether it was done, then try again".to_owned()
            }
            Self::Unexpected { .. } => {
                "look whether `--url` or the profile names control, and not its gateway".to_owned()
            }
            Self::Problem(problem) => of_code(&problem.code).to_owned(),
        }
    }

    /// Whether control answered that there is no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        self.exit() == Exit::NotFound
    }
}

const fn of_status(status: u16) -> Exit {
    match status {
        401 | 403 => Exit::Unauthorised,
        404 => Exit::NotFound,
        408 | 504 => Exit::TimedOut,
        500..=502 => Exit::Internal,
        _ => Exit::Refused,
    }
}

/// What a person at the command line does about it; what control says is for programs too.
fn of_code(code: &str) -> &'static str {
    match code {
        "unauthenticated" => {
            "give a key with `--key` or REMUDA_KEY, or keep one with `remuda profile set`"
        }
        "missing-scope" | "wrong-owner" => {
            "use another key (`--key`, `--profile`), or issue one with `remuda key issue`"
        }
        "no-capacity" => "`remuda offers` lists what could be had now",
        "read-only" => "`remuda status` tells when control can write again",
        "rate-limited" | "stopping" => "try again in a moment",
        "internal" => "ask the operator, with the request's id",
        _ => "",
    }
}
