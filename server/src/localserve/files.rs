//! Files of the data directory: written whole or not at all, readable by the owner only.

use std::{
    fs::{self, File, TryLockError},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::config::MasterKey;

const MASTER_KEY: &str = "master.key";

/// The data directory, held by this process.
pub(super) struct DataDir {
    path: PathBuf,
    /// The kernel gives the lock back however we end.
    _lock: File,
}

impl DataDir {
    /// Makes the directory where it is missing, and takes it for this process.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let cannot = || format!("cannot use {} as data directory", path.display());
        fs::create_dir_all(path).with_context(cannot)?;
        let path = path.canonicalize().with_context(cannot)?;
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a directory in it that only the owner may enter.
    pub(super) fn private_directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.file(name);
        let done = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        done.with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// The path of a file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What a file says, if there is one.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>> {
        read(&self.file(name))
    }

    /// Replaces a file at once and durably.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<()> {
        let temporary = self.file(&format!("{name}.new"));
        let save = || -> std::io::Result<()> {
            remove_if_there(&temporary)?;
            let mut file =
                File::options().write(true).create_new(true).mode(0o600).open(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, self.file(name))?;
            File::open(&self.path)?.sync_all()
        };
        save().with_context(|| format!("cannot write {}", self.file(name).display()))
    }

    /// Removes a file, if there is one.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        let path = self.file(name);
        remove_if_there(&path).with_context(|| format!("cannot remove {}", path.display()))
    }

    /// The master key, made by the first start.
    pub(super) fn master_key(&self) -> Result<MasterKey> {
        if let Some(key) = master_key(&self.path)? {
            return Ok(key);
        }
        let key = MasterKey::generate();
        self.write(MASTER_KEY, &(key.to_base64() + "\n"))?;
        Ok(key)
    }
}

/// The master key in a data directory, if there is one. The directory may be in use.
pub(crate) fn master_key(dir: &Path) -> Result<Option<MasterKey>> {
    let Some(text) = read(&dir.join(MASTER_KEY))? else {
        return Ok(None);
    };
    let key = MasterKey::parse(&text).with_context(|| {
        format!(
            "{} is damaged: bring it back, or remove {} to start anew",
            dir.join(MASTER_KEY).display(),
            dir.display()
        )
    });
    key.map(Some)
}

fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("localserve.lock");
    let cannot = || format!("cannot lock {}", path.display());
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(cannot)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(&path).unwrap_or_default();
            bail!(
                "posthouse localserve (process {}) is running with the data in {}; \
                 stop it, or choose another --data and --port-base",
                holder.trim(),
                dir.display()
            );
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).with_context(cannot)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn one_process_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::open(&dir.path().join("a/b")).unwrap();
        let refused = DataDir::open(&dir.path().join("a/b")).err().unwrap().to_string();
        assert!(refused.contains(&format!("(process {})", std::process::id())), "{refused}");
        drop(held);
        DataDir::open(&dir.path().join("a/b")).unwrap();
    }

    #[test]
    fn the_master_key_is_made_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        let key = data.master_key().unwrap();
        assert_eq!(data.master_key().unwrap().octets(), key.octets());
        let mode = fs::metadata(data.file("master.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        data.write("master.key", "rubbish").unwrap();
        assert!(data.master_key().unwrap_err().to_string().contains("damaged"));
    }

    #[test]
    fn files_are_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        fs::write(data.file("x.new"), "left over from a crash").unwrap();
        data.write("x", "1").unwrap();
        data.write("x", "2").unwrap();
        assert_eq!(data.read("x").unwrap().as_deref(), Some("2"));
        assert!(!data.file("x.new").exists());
        data.remove("x").unwrap();
        data.remove("x").unwrap();
        assert_eq!(data.read("x").unwrap(), None);
    }
}
