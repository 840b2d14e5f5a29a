//! The system user Postgres runs as: ours, or an unprivileged one when we are root.
//!
//! Postgres refuses to run as root. Which other user it is is decided once, when the cluster is
//! made; later starts follow the owner of the data.

use std::ffi::OsStr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use nix::unistd::{Uid, User, geteuid};

/// The user of the Postgres processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Its user id.
    pub uid: u32,
    /// Its group id, when it differs from ours and must be set.
    switch_to_gid: Option<u32>,
}

impl Owner {
    /// Chooses the user for a new cluster.
    pub(crate) fn for_new_cluster() -> Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self { uid: geteuid().as_raw(), switch_to_gid: None });
        }
        for name in ["postgres", "nobody"] {
            let user = User::from_name(name).with_context(|| format!("cannot look up {name}"))?;
            if let Some(user) = user.filter(|user| !user.uid.is_root()) {
                let switch_to_gid = Some(user.gid.as_raw());
                return Ok(Self { uid: user.uid.as_raw(), switch_to_gid });
            }
        }
        bail!(
            "Postgres refuses to run as root, and there is neither a user `postgres` nor `nobody`; \
             start posthouse as an ordinary user"
        )
    }

    /// Takes the user that owns existing data.
    pub(crate) fn of_existing(uid: u32, path: &Path) -> Result<Self> {
        let me = geteuid();
        if uid == me.as_raw() && !me.is_root() {
            return Ok(Self { uid, switch_to_gid: None });
        }
        if !me.is_root() {
            bail!(
                "{} belongs to another user (uid {uid}); start posthouse as that user, or as root",
                path.display()
            );
        }
        if uid == 0 {
            return Self::for_new_cluster();
        }
        let gid = User::from_uid(Uid::from_raw(uid))
            .context("cannot look up the owner of the cluster")?
            .map_or(uid, |user| user.gid.as_raw());
        Ok(Self { uid, switch_to_gid: Some(gid) })
    }

    /// Gives a file or directory to this user.
    pub(crate) fn take(&self, path: &Path) -> Result<()> {
        let Some(gid) = self.switch_to_gid else {
            return Ok(());
        };
        chown(path, Some(self.uid), Some(gid))
            .with_context(|| format!("cannot give {} to uid {}", path.display(), self.uid))
    }

    /// Prepares a command that runs as this user, without our `PG*` variables.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PG")) {
                command.env_remove(name);
            }
        }
        if let Some(gid) = self.switch_to_gid {
            // Started by root, this drops the supplementary groups as well.
            command.uid(self.uid).gid(gid);
        }
        command
    }

    /// Tells whether this user can reach and write the directory.
    pub(crate) fn can_write(&self, dir: &Path) -> bool {
        let status = self.command("test").arg("-w").arg(dir).arg("-a").arg("-x").arg(dir).status();
        status.is_ok_and(|status| status.success())
    }
}
