//! The program in a home of its own: no environment, no config, nothing of the machine's user.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// An address at which nobody listens: the discard port of loopback.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:9";

/// A home folder, and the program in it.
pub(crate) struct Program {
    home: TempDir,
    environment: Vec<(String, String)>,
}

/// What a run said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A program that runs until it is dropped.
pub(crate) struct Running {
    child: Child,
    /// The first line of its stdout.
    pub(crate) started: Value,
}

impl Program {
    pub(crate) fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            environment: Vec::new(),
        }
    }

    /// The same with a variable set.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// A file in the home folder.
    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.home().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remuda"));
        command
            .args(arguments)
            .current_dir(self.home())
            .env_clear()
            .env("HOME", self.home());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.command(arguments).output().unwrap().into()
    }

    /// The JSON of a run that did what it was asked.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let said = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(said.code, 0, "{arguments:?}: {}", said.stderr);
        serde_json::from_str(&said.stdout).unwrap()
    }

    /// Starts a program that says on its first line that it has started.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(&[arguments, &["--json"]].concat());
        let log = fs::File::create(self.home().join("program.log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let started = serde_json::from_str(&line).unwrap_or_else(|error| {
            let log = fs::read_to_string(self.home().join("program.log")).unwrap();
            panic!("{arguments:?} did not start ({error}): {log}")
        });
        Running { child, started }
    }
}

impl Running {
    /// Asks it to stop, as the system does; its exit code.
    pub(crate) fn stop(mut self) -> i32 {
        let asked = Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        assert!(asked.success());
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Said {
    /// Its code and what it said on stderr, without the home folder's path.
    pub(crate) fn failure(&self, program: &Program) -> String {
        assert_eq!(self.stdout, "", "a failed command prints no result");
        let home = program.home().display().to_string();
        format!("exit {}\n{}", self.code, self.stderr.replace(&home, "~"))
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
