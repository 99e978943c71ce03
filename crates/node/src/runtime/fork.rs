//! What a child does between `fork` and `exec`. The only unsafe code of this crate.
#![expect(
    unsafe_code,
    reason = "`pre_exec` is the only way to have a child die with its parent"
)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{getpid, getppid};

/// Has the kernel kill the command's process when the thread that spawns it ends; so that thread
/// must live as long as the process.
pub fn die_with_parent(command: &mut Command) -> &mut Command {
    let parent = getpid();
    let in_child = move || {
        set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have died before the kernel was told to watch it.
        if getppid() == parent {
            Ok(())
        } else {
            Err(io::Error::from(io::ErrorKind::BrokenPipe))
        }
    };
    // SAFETY: between `fork` and `exec` the closure makes two system calls and touches no memory
    // but its own copy of `parent`: no allocation, no lock, nothing that another thread could have
    // held at the fork. `io::Error::from` of an errno or a kind does not allocate.
    unsafe { command.pre_exec(in_child) }
}
