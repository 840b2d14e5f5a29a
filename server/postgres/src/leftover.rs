//! Ends a Postgres that outlived the process that started it.
//!
//! The caller holds the lock of the data directory, so whatever still runs on it is an orphan.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long an orphan may take to write its checkpoint.
const PATIENCE: Duration = Duration::from_mins(1);
const STEP: Duration = Duration::from_millis(20);

/// Stops the orphan of this data directory, if there is one, and removes a misleading pid file.
pub(crate) fn stop(data_dir: &Path) -> Result<()> {
    let pid_file = data_dir.join("postmaster.pid");
    let Some(pid) = read_pid(&pid_file) else {
        return Ok(());
    };
    if kill(pid, None).is_err() {
        // Postgres itself clears the file of a process that is gone, and checks its shared memory.
        return Ok(());
    }
    if is_postgres_of(pid, data_dir) {
        tracing::warn!(pid = pid.as_raw(), "stopping a Postgres left over from an earlier run");
        for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGKILL] {
            // An error means that it has just ended.
            kill(pid, signal).ok();
            if wait_until_gone(pid, data_dir) {
                return Ok(());
            }
        }
        bail!("Postgres {pid}, left over from an earlier run, does not end");
    }
    // Another program has this number now; Postgres would take it for its old self.
    fs::remove_file(&pid_file).with_context(|| format!("cannot remove {}", pid_file.display()))
}

fn read_pid(pid_file: &Path) -> Option<Pid> {
    let text = fs::read_to_string(pid_file).ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok()?;
    (pid > 1).then(|| Pid::from_raw(pid))
}

fn wait_until_gone(pid: Pid, data_dir: &Path) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if kill(pid, None).is_err() || !is_postgres_of(pid, data_dir) {
            return true;
        }
        std::thread::sleep(STEP);
    }
    false
}

/// Reads the command line of the process; that of a zombie is empty.
fn is_postgres_of(pid: Pid, data_dir: &Path) -> bool {
    let wanted = data_dir.to_string_lossy();
    let command_line = if Path::new("/proc/self/cmdline").exists() {
        fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()
    } else {
        let ps = std::process::Command::new("ps")
            .args(["-o", "command=", "-p", &pid.to_string()])
            .output();
        ps.map(|output| output.stdout).unwrap_or_default()
    };
    let command_line = String::from_utf8_lossy(&command_line);
    command_line
        .split(['\0', ' ', '\n'])
        .next()
        .is_some_and(|program| program.ends_with("postgres"))
        && command_line.contains(wanted.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_that_now_belongs_to_another_program_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let pid_file = dir.path().join("postmaster.pid");
        fs::write(&pid_file, format!("{}\n{}\n", std::process::id(), dir.path().display()))
            .unwrap();
        stop(dir.path()).unwrap();
        assert!(!pid_file.exists());
    }

    #[test]
    fn a_damaged_pid_file_is_left_to_postgres() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("postmaster.pid"), "0\n").unwrap();
        stop(dir.path()).unwrap();
        assert!(dir.path().join("postmaster.pid").exists());
    }
}
