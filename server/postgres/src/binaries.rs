//! Finds the programs of a Postgres server.
//!
//! Debian and Ubuntu keep them outside of `PATH`, one directory per version.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

/// The oldest version whose SQL is enough for us.
const OLDEST: u32 = 14;

/// The programs of one installed version.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    dir: PathBuf,
    /// The major version.
    pub major: u32,
}

impl Binaries {
    /// Finds the programs; of a given major version when a cluster already exists.
    pub(crate) fn find(bin_dir: Option<&Path>, cluster_major: Option<u32>) -> Result<Self> {
        let dirs = bin_dir.map_or_else(candidate_dirs, |dir| vec![dir.to_owned()]);
        let found: Vec<Self> = dirs.into_iter().filter_map(Self::at).collect();
        if let Some(major) = cluster_major {
            if let Some(matching) = found.iter().find(|binaries| binaries.major == major) {
                return Ok(matching.clone());
            }
            bail!(
                "the cluster was made by PostgreSQL {major}, whose server is not installed; \
                 install it (Debian and Ubuntu: apt install postgresql-{major})"
            );
        }
        if let Some(newest) = found.iter().find(|binaries| binaries.major >= OLDEST) {
            return Ok(newest.clone());
        }
        if let Some(old) = found.first() {
            bail!("found PostgreSQL {} only; version {OLDEST} or newer is needed", old.major);
        }
        bail!(
            "the PostgreSQL server is not installed (no `initdb` and `postgres` found); install it: \
             Debian and Ubuntu: apt install postgresql; Fedora: dnf install postgresql-server; \
             Arch: pacman -S postgresql; macOS: brew install postgresql@17"
        )
    }

    /// Returns the path of one program.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn at(dir: PathBuf) -> Option<Self> {
        if !dir.join("initdb").is_file() {
            return None;
        }
        let output = Command::new(dir.join("postgres")).arg("--version").output().ok()?;
        let major = major_version(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self { dir, major })
    }
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian …)`.
fn major_version(text: &str) -> Option<u32> {
    let number =
        text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn candidate_dirs() -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    dirs.extend(versioned("/usr/lib/postgresql", "", "bin"));
    dirs.extend(versioned("/usr", "pgsql-", "bin"));
    dirs.extend(versioned("/opt/homebrew/opt", "postgresql@", "bin"));
    dirs.extend(versioned("/usr/local/opt", "postgresql@", "bin"));
    dirs.push(PathBuf::from("/Applications/Postgres.app/Contents/Versions/latest/bin"));
    dirs
}

/// Lists `ROOT/PREFIX<number>/LEAF`, the highest number first.
fn versioned(root: &str, prefix: &str, leaf: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root) else {
        return Vec::new();
    };
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join(leaf)))
        })
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_all_vendors_are_read() {
        assert_eq!(
            major_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_version("postgres (PostgreSQL) 17.2\n"), Some(17));
        assert_eq!(major_version("nonsense"), None);
    }

    #[test]
    fn a_missing_server_names_the_package_to_install() {
        let error = Binaries::find(Some(Path::new("/nonexistent")), None).unwrap_err();
        assert!(error.to_string().contains("apt install postgresql"), "{error}");
        let error = Binaries::find(Some(Path::new("/nonexistent")), Some(12)).unwrap_err();
        assert!(error.to_string().contains("postgresql-12"), "{error}");
    }
}
