//! Where the files of a cluster live.
//!
//! In `DATA/postgres`, unless Postgres must run as another user who cannot reach it (root's
//! `mktemp -d` is 0700). Then they live in a slot below `/var/lib/posthouse/clusters`, and
//! `DATA/postgres` is a link to it. The same random id in `DATA/postgres.id` and in the slot tells
//! that they belong together: a `DATA` that was removed and made again gets an empty cluster, a
//! `DATA` that was moved finds its own.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::leftover;
use crate::owner::Owner;
use crate::socket::path_hash;

/// The place of a cluster and the user it runs as.
#[derive(Debug)]
pub(crate) struct Home {
    /// Holds `data`.
    pub dir: PathBuf,
    /// The user of its processes.
    pub owner: Owner,
}

impl Home {
    /// The directory Postgres calls PGDATA.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// The major version of the cluster, if there is one.
    pub(crate) fn major(&self) -> Result<Option<u32>> {
        let path = self.data_dir().join("PG_VERSION");
        match fs::read_to_string(&path) {
            Ok(text) => {
                let major = text.trim().parse();
                Ok(Some(major.with_context(|| format!("{} is damaged", path.display()))?))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
}

/// Finds or makes the place for the cluster of `data`, which is a canonical path.
pub(crate) fn find(data: &Path, outside_dir: &Path) -> Result<Home> {
    let link = data.join("postgres");
    let Ok(meta) = fs::symlink_metadata(&link) else {
        return make(data, &link, outside_dir);
    };
    if meta.is_symlink() {
        return outside(data, &link, outside_dir);
    }
    let owner_uid = fs::metadata(link.join("data")).map_or_else(|_| meta.uid(), |meta| meta.uid());
    let owner = Owner::of_existing(owner_uid, &link)?;
    owner.take(&link)?;
    if !owner.can_write(&link) {
        bail!(
            "the user that owns {} (uid {}) cannot reach it; make its parent directories \
             accessible (chmod a+x)",
            link.display(),
            owner.uid
        );
    }
    Ok(Home { dir: link, owner })
}

fn make(data: &Path, link: &Path, outside_dir: &Path) -> Result<Home> {
    if data.join("postgres.id").exists() {
        return outside(data, link, outside_dir);
    }
    let owner = Owner::for_new_cluster()?;
    private_dir(link, &owner)?;
    if owner.can_write(link) {
        return Ok(Home { dir: link.to_owned(), owner });
    }
    fs::remove_dir(link).with_context(|| format!("cannot remove {}", link.display()))?;
    outside(data, link, outside_dir)
}

fn outside(data: &Path, link: &Path, outside_dir: &Path) -> Result<Home> {
    let id_file = data.join("postgres.id");
    let slot = match fs::read_to_string(&id_file) {
        Ok(id) => slot_with_id(outside_dir, id.trim()).with_context(|| {
            format!(
                "the Postgres cluster of {} is no longer in {}; its data is lost unless you bring \
                 it back. To start with an empty one, remove {} and {}",
                data.display(),
                outside_dir.display(),
                link.display(),
                id_file.display()
            )
        })?,
        Err(_) => new_slot(data, &id_file, outside_dir)?,
    };
    let owner = Owner::of_existing(fs::metadata(&slot)?.uid(), &slot)?;
    if fs::read_link(link).ok().as_deref() != Some(&slot) {
        if link.is_symlink() {
            fs::remove_file(link)?;
        }
        symlink(&slot, link).with_context(|| format!("cannot link {}", link.display()))?;
    }
    Ok(Home { dir: slot, owner })
}

/// Looks through all slots, because the data directory may have been moved since.
fn slot_with_id(outside_dir: &Path, id: &str) -> Option<PathBuf> {
    let slots = fs::read_dir(outside_dir).ok()?;
    slots.filter_map(Result::ok).map(|slot| slot.path()).find(|slot| {
        fs::read_to_string(slot.join("id")).is_ok_and(|found| !id.is_empty() && found.trim() == id)
    })
}

fn new_slot(data: &Path, id_file: &Path, outside_dir: &Path) -> Result<PathBuf> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(outside_dir)
        .with_context(|| format!("cannot make {}", outside_dir.display()))?;
    let slot = outside_dir.join(format!("{:016x}", path_hash(data)));
    if slot.exists() {
        set_aside(&slot)?;
    }
    let owner = Owner::for_new_cluster()?;
    private_dir(&slot, &owner)?;
    if !owner.can_write(&slot) {
        bail!("uid {} cannot reach {}", owner.uid, slot.display());
    }
    let id = format!("{:032x}\n", rand::random::<u128>());
    fs::write(slot.join("id"), &id)?;
    fs::write(id_file, &id).with_context(|| format!("cannot write {}", id_file.display()))?;
    Ok(slot)
}

/// Moves away a cluster whose data directory is gone or was moved; one such is kept per path.
fn set_aside(slot: &Path) -> Result<()> {
    leftover::stop(&slot.join("data"))?;
    if !slot.join("data").exists() {
        return fs::remove_dir_all(slot).context("cannot remove an unused cluster directory");
    }
    let aside = slot.with_extension("old");
    if aside.exists() {
        leftover::stop(&aside.join("data"))?;
        fs::remove_dir_all(&aside).with_context(|| format!("cannot remove {}", aside.display()))?;
    }
    tracing::warn!(
        "the data directory was made anew: its former Postgres cluster is kept in {}",
        aside.display()
    );
    fs::rename(slot, &aside).with_context(|| format!("cannot rename {}", slot.display()))
}

fn private_dir(dir: &Path, owner: &Owner) -> Result<()> {
    fs::DirBuilder::new()
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make {}", dir.display()))?;
    owner.take(dir)
}
