//! `remuda engine`: one model on a unix socket. The node daemon starts it as its child.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use remuda_engine::Config;
use remuda_types::Digest;
use tokio::net::UnixListener;

use crate::shutdown;

/// Run one model on a unix socket; the node daemon starts this
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The GGUF file
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// BLAKE3 of the file, which whoever starts this has checked
    #[arg(long)]
    digest: Digest,
    /// Tokens of context of each sequence
    #[arg(long, value_name = "COUNT")]
    context_tokens: u32,
    /// Sequences decoded at once
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    slots: u32,
    /// Threads of the decode loop
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    threads: u32,
    /// Where to listen
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let asked = shutdown::Asked::listen()?;
    let mut config = Config::new(args.model, args.digest, args.context_tokens);
    config.slots = args.slots;
    config.threads = args.threads;
    let socket = args.socket;
    let listener =
        listen(&socket).with_context(|| format!("cannot listen on {}", socket.display()))?;
    remuda_engine::serve(config, listener, async move { asked.once().await }).await?;
    Ok(())
}

/// What an engine before this one left is in the way.
fn listen(socket: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => UnixListener::bind(socket),
    }
}
