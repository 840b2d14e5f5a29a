//! Keeps `core/.sqlx` equal to what Postgres says about our queries.
//!
//! sqlx writes a file for each query when it compiles against a database and `SQLX_OFFLINE_DIR` is
//! set; later builds read the files instead. The database is a private cluster with our migrations.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use posthouse_postgres::{ClusterOptions, PrivateCluster};
use sqlx::migrate::Migrator;
use sqlx::{Connection as _, PgConnection};

use crate::drift::{self, Files};

/// The crate that holds all SQL.
const PACKAGE: &str = "posthouse-core";

/// Writes or compares the data.
pub(crate) fn run(root: &Path, check: bool) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    // Everybody may enter the system's directory for temporary files: Postgres may be another user.
    let place = std::env::temp_dir().join(format!("posthouse-xtask-{}", std::process::id()));
    let generated = runtime.block_on(generate(root, &place));
    fs::remove_dir_all(&place).ok();
    let generated = generated?;
    let dir = root.join("core/.sqlx");
    let committed = drift::read_dir(&dir, ".json")?;
    if check {
        return drift::check(&committed, &generated, &dir, "cargo xtask sqlx");
    }
    drift::replace(&committed, &generated, &dir)
}

async fn generate(root: &Path, place: &Path) -> Result<Files> {
    let cluster = PrivateCluster::start(place, ClusterOptions::throwaway()).await?;
    cluster.create_database_if_missing("queries").await?;
    let url = cluster.database_url("queries");
    migrate(root, &url).await?;
    let new = place.join("queries");
    fs::create_dir_all(&new)?;
    let compiled = compile(root, &url, &new);
    let files = drift::read_dir(&new, ".json");
    cluster.stop().await?;
    compiled?;
    files
}

async fn migrate(root: &Path, url: &str) -> Result<()> {
    let migrations = root.join("core/migrations");
    let migrator = Migrator::new(migrations.as_path()).await.context("cannot read migrations")?;
    let mut connection = PgConnection::connect(url).await?;
    migrator.run(&mut connection).await.context("a migration fails")?;
    Ok(connection.close().await?)
}

/// Compiles the crate anew: cargo does not know that macros look into the database.
fn compile(root: &Path, url: &str, new: &Path) -> Result<()> {
    let touched = Command::new("touch").arg(root.join("core/src/lib.rs")).status();
    if !touched.is_ok_and(|status| status.success()) {
        bail!("cannot touch core/src/lib.rs");
    }
    let status = Command::new(env!("CARGO"))
        .args(["check", "--quiet", "--package", PACKAGE, "--all-features", "--all-targets"])
        .current_dir(root)
        .env("DATABASE_URL", url)
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", new)
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("{PACKAGE} does not compile against its own migrations");
    }
    Ok(())
}
