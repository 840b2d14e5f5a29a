//! CPU time and memory of the server and of its Postgres, from Linux's `/proc` (proc(5)).
//!
//! Other systems have no `/proc`: the figures are then zero.

use std::collections::HashMap;
use std::fs;
use std::ops::Sub;

/// `USER_HZ`, which is 100 on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cpu {
    /// By the server itself.
    pub server: f64,
    /// By all processes below it: its Postgres.
    pub postgres: f64,
    /// By this program: client, DNS and sink.
    pub bench: f64,
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            server: self.server - earlier.server,
            postgres: self.postgres - earlier.postgres,
            bench: self.bench - earlier.bench,
        }
    }
}

/// One line of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    parent: u32,
    own: f64,
    /// Of children that have ended.
    ended_children: f64,
}

/// Reads what the server and the processes below it have used.
pub(crate) fn cpu(server: u32) -> Cpu {
    let stats: HashMap<u32, Stat> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            Some((pid, stat(pid)?))
        })
        .collect();
    let mut cpu = Cpu::default();
    for (pid, stat) in &stats {
        if *pid == server {
            cpu.server = stat.own;
        } else if *pid == std::process::id() {
            cpu.bench = stat.own;
        } else if is_below(*pid, server, &stats) {
            cpu.postgres += stat.own + stat.ended_children;
        }
    }
    cpu
}

/// Resident memory now and at its highest, in MiB.
pub(crate) fn memory_mib(pid: u32) -> (f64, f64) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u32>().ok());
        f64::from(kib.unwrap_or(0)) / 1024.0
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// Starts the highest value anew (`clear_refs`, value 5).
pub(crate) fn reset_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").ok();
}

fn is_below(mut pid: u32, ancestor: u32, stats: &HashMap<u32, Stat>) -> bool {
    for _ in 0..8 {
        match stats.get(&pid) {
            Some(stat) if stat.parent == ancestor => return true,
            Some(stat) => pid = stat.parent,
            None => return false,
        }
    }
    false
}

fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name in parentheses may hold spaces and parentheses of its own.
fn parse(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u32>().ok().map(f64::from);
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own: (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND,
        ended_children: (ticks(13)? + ticks(14)?) / TICKS_PER_SECOND,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_cannot_shift_the_fields() {
        let line = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 150 50 20 30 20 0 1 0 5";
        assert_eq!(parse(line), Some(Stat { parent: 7, own: 2.0, ended_children: 0.5 }));
        assert_eq!(parse(""), None);
    }

    #[test]
    fn our_own_memory_is_read() {
        let (now, peak) = memory_mib(std::process::id());
        assert!(now > 0.5 && peak >= now);
    }
}
