//! Connections to Postgres: waiting for it at the start, migrating, and the pool.

use std::{str::FromStr as _, time::Duration};

use anyhow::{Context as _, Result, bail};
use sqlx::{
    Connection as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// A request waits this long for a connection, then it gets 503 or 451.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that idled longer are tried before they are used: Postgres may have restarted, which
/// takes longer than this. Under load nobody pays for it.
const TRUSTED_IDLE: Duration = Duration::from_millis(100);
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// How often the log repeats that Postgres is away.
const TELL_EVERY: u32 = 15;

/// How to reach Postgres.
#[derive(Clone)]
pub struct DatabaseSettings {
    /// Address, user, password, database.
    pub options: PgConnectOptions,
    /// Most connections of this process.
    pub connections: u32,
    /// Postgres ends a statement after this time; zero: never.
    pub statement_timeout: Duration,
}

impl DatabaseSettings {
    /// Settings for a database that is ours alone.
    pub fn from_url(url: &str, connections: u32) -> Result<Self> {
        let options = PgConnectOptions::from_str(url).context("not a database URL")?;
        Ok(Self { options, connections, statement_timeout: Duration::from_mins(1) })
    }

    /// The pool of the process. Nothing is connected yet.
    pub fn pool(&self, node_name: &str) -> PgPool {
        let milliseconds = self.statement_timeout.as_millis().to_string();
        let options = self
            .options
            .clone()
            .application_name(&format!("posthouse {node_name}"))
            .statement_cache_capacity(500)
            .options([
                ("statement_timeout", milliseconds.as_str()),
                ("idle_in_transaction_session_timeout", milliseconds.as_str()),
            ]);
        PgPoolOptions::new()
            .max_connections(self.connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // A round trip less for every request; `before_acquire` does it where it matters.
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > TRUSTED_IDLE {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options)
    }

    /// Waits until Postgres lets us in.
    ///
    /// # Errors
    /// Faults that waiting does not mend: wrong password, no such database.
    pub async fn wait_until_up(&self) -> Result<()> {
        let mut tries = 0;
        loop {
            let error = match PgConnection::connect_with(&self.options).await {
                Ok(connection) => return connection.close().await.context("Postgres hung up"),
                Err(error) => error,
            };
            if is_lasting(&error) {
                bail!("Postgres at {} refuses us: {error}", self.place());
            }
            if tries % TELL_EVERY == 0 {
                tracing::warn!("waiting for Postgres at {}: {error}", self.place());
            }
            tries += 1;
            tokio::time::sleep(RETRY_EVERY).await;
        }
    }

    /// Brings the tables to the form that this version needs.
    pub async fn migrate(&self) -> Result<()> {
        let options = self.options.clone().application_name("posthouse migrate");
        let pool = PgPoolOptions::new().max_connections(2).connect_with(options).await?;
        let done = posthouse_core::migrate::run(&pool).await;
        pool.close().await;
        done.context("cannot migrate the database")
    }

    fn place(&self) -> String {
        let database = self.options.get_database().unwrap_or_else(|| self.options.get_username());
        match self.options.get_socket() {
            Some(directory) => format!("{}/{database}", directory.display()),
            None => {
                format!("{}:{}/{database}", self.options.get_host(), self.options.get_port())
            }
        }
    }
}

/// Whether trying again cannot help: SQLSTATE 28 (who we are), 3D000 (no such database), and
/// settings that do not fit the server.
fn is_lasting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => {
            database.code().is_some_and(|code| code.starts_with("28") || code == "3D000")
        }
        sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => true,
        _ => false,
    }
}
