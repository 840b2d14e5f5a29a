//! Holds the Postgres child process.
//!
//! The kernel signals a child with `PR_SET_PDEATHSIG` when the *thread* that made it ends, so one
//! thread makes the child, waits for it and lives exactly as long.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;

use crate::owner::Owner;

/// A running child and the news of its end.
#[derive(Debug)]
pub(crate) struct Keeper {
    pid: Pid,
    exit: watch::Receiver<Option<ExitStatus>>,
}

impl Keeper {
    /// Starts a program in its own process group, so that Ctrl-C in the terminal spares it.
    pub(crate) fn start(
        owner: &Owner,
        program: &Path,
        args: Vec<String>,
        log: File,
    ) -> Result<Self> {
        let (exit_sender, exit) = watch::channel(None);
        let (pid_sender, pid_receiver) = std::sync::mpsc::channel();
        let mut command = dying_with_parent(owner, program);
        command.args(args).process_group(0);
        command.stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log));
        std::thread::Builder::new().name("postgres".to_owned()).spawn(move || {
            let spawned = command.spawn();
            drop(command);
            let mut child = match spawned {
                Ok(child) => child,
                Err(error) => return drop(pid_sender.send(Err(error))),
            };
            drop(pid_sender.send(Ok(child.id())));
            if let Ok(status) = child.wait() {
                exit_sender.send_replace(Some(status));
            }
        })?;
        let pid = pid_receiver
            .recv()
            .map_err(|_| anyhow!("the thread of Postgres ended"))?
            .with_context(|| format!("cannot run {}", program.display()))?;
        Ok(Self { pid: Pid::from_raw(i32::try_from(pid)?), exit })
    }

    /// The process id.
    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Returns how the child ended, if it has.
    pub(crate) fn exit_status(&self) -> Option<ExitStatus> {
        *self.exit.borrow()
    }

    /// Waits for the end of the child.
    pub(crate) async fn wait(&self) {
        let mut exit = self.exit.clone();
        // An error means that the thread ended, and with it the child.
        drop(exit.wait_for(Option::is_some).await);
    }

    /// Sends a signal, unless the child has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.exit_status().is_none() {
            // An error means that it has just ended.
            kill(self.pid, signal).ok();
        }
    }

    /// Waits for the end of the child, for destructors.
    pub(crate) fn wait_blocking(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.exit_status().is_none() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }
}

/// Wraps the program in `setpriv --pdeathsig`, where that exists: a change of user would clear the
/// setting, so it must happen after it, in the child.
fn dying_with_parent(owner: &Owner, program: &Path) -> Command {
    let probe = owner
        .command("setpriv")
        .args(["--pdeathsig", "INT", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !probe.is_ok_and(|status| status.success()) {
        return owner.command(program);
    }
    let mut command = owner.command("setpriv");
    command.args(["--pdeathsig", "INT", "--"]).arg(program);
    command
}
