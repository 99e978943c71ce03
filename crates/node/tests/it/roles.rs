//! Programs that the tests need: this binary again, asked for one ignored test by name. What
//! follows the name on the command line is the program's own.

use std::ffi::OsString;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use remuda_types::Digest;
use remuda_wire::frame::Frames;
use remuda_wire::infer::{Ask, End, EndReason, Ready, Reply, Start, Token};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::codec::Framed;

use crate::rig;

/// A request with this seed is answered until its gateway leaves.
pub const ENDLESS: u64 = 999;

/// The command line of a role, its own arguments excepted.
pub fn command(role: &str) -> Vec<String> {
    let program = std::env::current_exe().unwrap();
    let mut words = vec![program.to_str().unwrap().to_owned()];
    words.extend(["--ignored", "--nocapture", "--exact", role, "--"].map(str::to_owned));
    words
}

/// A role's command line with its arguments.
pub fn with(role: &str, arguments: &[&str]) -> Vec<String> {
    let mut words = command(role);
    words.extend(arguments.iter().map(|word| (*word).to_owned()));
    words
}

fn argument(name: &str) -> Option<String> {
    let mut words = std::env::args().skip_while(|word| word != name);
    words.nth(1)
}

fn flag(name: &str) -> bool {
    std::env::args().any(|word| word == name)
}

fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// A plain process: says its pid, does as its arguments say, and waits to be stopped.
#[test]
#[ignore = "a role of this binary"]
fn process() {
    say(&format!("pid {}", std::process::id()));
    say(&format!(
        "environment {:?}",
        std::env::vars_os()
            .map(|(name, _)| name)
            .collect::<Vec<OsString>>()
    ));
    if flag("--outcast") {
        let words = command("roles::process");
        let mut outcast = Command::new(&words[0]);
        outcast
            .args(&words[1..])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        say(&format!("outcast {}", outcast.spawn().unwrap().id()));
    }
    let code = argument("--exit").map(|code| code.parse().unwrap());
    if let Some(code) = code {
        exit(code);
    }
    let _listener = argument("--listen")
        .map(|port| TcpListener::bind(("127.0.0.1", port.parse().unwrap())).unwrap());
    std::thread::sleep(Duration::from_mins(10));
}

#[expect(
    clippy::disallowed_methods,
    reason = "the role's exit code is what is tested"
)]
fn exit(code: i32) -> ! {
    std::process::exit(code)
}

/// An engine: says its pid and serves frames on its socket.
#[tokio::test]
#[ignore = "a role of this binary"]
async fn engine() {
    say(&format!("pid {}", std::process::id()));
    let digest: Digest = argument("--digest").unwrap().parse().unwrap();
    let content = std::fs::read(argument("--model").unwrap()).unwrap();
    assert_eq!(
        Digest::of(&content),
        digest,
        "the node checks what it fetches"
    );
    let listener = UnixListener::bind(argument("--socket").unwrap()).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(stream, digest));
    }
}

async fn serve(stream: UnixStream, model: Digest) {
    let mut frames = Framed::new(stream, Frames::<Ask, Reply>::default());
    match frames.next().await {
        Some(Ok(Ask::Probe)) => {
            let ready = Ready {
                model,
                active: 0,
                slots: 1,
                context_tokens: 64,
                generated_tokens: 0,
            };
            drop(frames.send(Reply::Ready(ready)).await);
        }
        Some(Ok(Ask::Start(start))) => generate(*start, frames).await,
        Some(Err(_)) | None => {}
    }
}

async fn generate(start: Start, frames: Framed<UnixStream, Frames<Ask, Reply>>) {
    let (mut to, mut from) = frames.split();
    let first = u32::try_from(start.generated.len()).unwrap();
    let endless = start.seed == ENDLESS;
    let last = if endless { u32::MAX } else { start.max_tokens };
    let tokens = async {
        for index in first..last {
            let token = Token {
                index,
                id: index * 3,
                logprob: None,
                top: Vec::new(),
            };
            to.send(Reply::Token(token)).await.ok()?;
            if endless {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        let end = End {
            reason: EndReason::Length,
            cached_tokens: 0,
        };
        to.send(Reply::End(end)).await.ok()
    };
    let served = tokio::select! {
        served = tokens => served,
        _ = from.next() => None,
    };
    if served.is_none() {
        say("the gateway left");
    }
}

/// A daemon, as its owner runs it; the parent kills it.
#[tokio::test]
#[ignore = "a role of this binary"]
async fn daemon() {
    let state = argument("--state").unwrap();
    let control = rig::address(&argument("--control").unwrap(), &argument("--at").unwrap());
    let config = rig::config(state.as_ref(), control);
    let _running = remuda_node::start(config).await.unwrap();
    say("started");
    std::future::pending::<()>().await;
}
