//! Bringing the database to this version's schema.

use sqlx::{PgPool, migrate::Migrator};

use crate::error::{Error, Result};

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// Applies what is missing. Several nodes may do this at the same time: they take turns.
///
/// # Errors
/// `Unavailable`, or `Internal` when the database is newer than this program.
pub async fn run(pool: &PgPool) -> Result<()> {
    MIGRATOR.run(pool).await.map_err(|error| match error {
        sqlx::migrate::MigrateError::Execute(cause) => cause.into(),
        other => Error::internal(other),
    })
}
