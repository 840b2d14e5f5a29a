//! The directory of the Unix socket: short, private and not somebody else's.
//!
//! A socket path may have 107 bytes only, so it cannot live inside of the data directory.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use nix::unistd::geteuid;

use crate::owner::Owner;
use crate::settings::PORT;

/// Makes or checks the socket directory of the cluster at `data_dir`, which does not run.
pub(crate) fn prepare(data_dir: &Path, owner: &Owner) -> Result<PathBuf> {
    let name = format!("posthouse-{}-{:016x}", owner.uid, path_hash(data_dir));
    let dir = Path::new("/tmp").join(name);
    match fs::DirBuilder::new().mode(0o700).create(&dir) {
        Ok(()) => owner.take(&dir)?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => check(&dir, owner)?,
        Err(error) => return Err(error).with_context(|| format!("cannot make {}", dir.display())),
    }
    for stale in [format!(".s.PGSQL.{PORT}"), format!(".s.PGSQL.{PORT}.lock")] {
        // Left by a killed server; it could name a process that is another program now.
        fs::remove_file(dir.join(stale)).ok();
    }
    Ok(dir)
}

/// `/tmp` is everybody's: whoever makes the directory first must be us or Postgres's user.
fn check(dir: &Path, owner: &Owner) -> Result<()> {
    let meta =
        fs::symlink_metadata(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    if !meta.is_dir() {
        bail!("{} is not a directory; remove it", dir.display());
    }
    let ours = meta.uid() == owner.uid || meta.uid() == geteuid().as_raw();
    if !ours {
        bail!(
            "{} belongs to another user (uid {}); it would see every connection. Remove it",
            dir.display(),
            meta.uid()
        );
    }
    owner.take(dir)?;
    if meta.permissions().mode() & 0o777 != 0o700 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// FNV-1a of a path: a name that stays the same across releases of Rust.
pub(crate) fn path_hash(path: &Path) -> u64 {
    use std::os::unix::ffi::OsStrExt as _;
    path.as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symlink_in_place_of_the_socket_directory_is_refused() {
        let elsewhere = tempfile::tempdir().unwrap();
        let owner = Owner::for_new_cluster().unwrap();
        let data = elsewhere.path().join("data");
        let name = format!("posthouse-{}-{:016x}", owner.uid, path_hash(&data));
        let planted = Path::new("/tmp").join(name);
        std::os::unix::fs::symlink(elsewhere.path(), &planted).unwrap();
        let result = prepare(&data, &owner);
        fs::remove_file(&planted).unwrap();
        assert!(result.unwrap_err().to_string().contains("not a directory"));
    }

    #[test]
    fn the_socket_path_is_short_for_any_data_directory() {
        let owner = Owner::for_new_cluster().unwrap();
        let long = Path::new("/").join("x".repeat(200)).join("data");
        let dir = prepare(&long, &owner).unwrap();
        fs::remove_dir(&dir).unwrap();
        assert!(dir.as_os_str().len() + "/.s.PGSQL.5432.lock".len() < 107);
    }
}
