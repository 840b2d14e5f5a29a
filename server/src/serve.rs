//! `posthouse serve`: runs against a given Postgres until a signal ends it.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result};
use posthouse_core::ports::{SystemClock, hickory::HickoryResolver};
use posthouse_smtp_gateway::SmtpConfig;
use tokio::net::TcpListener;

use crate::{
    app::{App, AppConfig, Listeners, Outgoing},
    config::{Listen, Settings},
    notify::notify,
    roles::Role,
    signals,
    tls::{SessionTickets, server_config},
};

/// Runs until a signal ends it.
pub async fn run(settings: Settings) -> Result<()> {
    let shutdown = signals::shutdown_token()?;
    let socket = settings.notify_socket.clone();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        node = settings.node_name,
        roles = %settings.roles,
        "starting"
    );
    let Some(app) = shutdown.run_until_cancelled(start(settings)).await else {
        return Ok(());
    };
    let app = app?;
    notify(socket.as_deref(), "READY=1");
    tracing::info!("ready");
    let done = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        error = app.failed() => Err(error),
    };
    notify(socket.as_deref(), "STOPPING=1");
    app.stop().await;
    tracing::info!("stopped");
    done
}

async fn start(settings: Settings) -> Result<App> {
    let listeners = bind(&settings).await?;
    let tls = settings
        .tls
        .as_ref()
        .map(|files| server_config(&files.certificate, &files.key, &[], SessionTickets::Issued));
    let tls = tls.transpose()?;
    let resolver = HickoryResolver::new(&settings.resolvers, &settings.dnssec)
        .context("cannot set up DNS; give servers in delivery.resolvers")?;
    let resolver = Arc::new(resolver);
    let checked = Arc::clone(&resolver);
    tokio::spawn(async move { checked.check_dnssec().await });
    settings.database.wait_until_up().await?;
    settings.database.migrate().await?;
    App::start(AppConfig {
        pool: settings.database.pool(&settings.node_name),
        clock: Arc::new(SystemClock),
        resolver,
        master_key: *settings.master_key.octets(),
        listeners,
        tls,
        roles: settings.roles,
        outbound: Outgoing::smtp(&settings.core),
        api: posthouse_api::Limits::default(),
        smtp: SmtpConfig::default(),
        node_name: settings.node_name,
        core: settings.core,
    })
    .await
}

/// Takes the ports of the roles that this process has.
async fn bind(settings: &Settings) -> Result<Listeners> {
    let Listen { http, https, smtp, submission, submissions } = settings.listen;
    let api = settings.roles.has(Role::Api);
    let mail = settings.roles.has(Role::Smtp);
    let bind = async |wanted: bool, key: &str, address: Option<SocketAddr>| -> Result<_> {
        let Some(address) = address.filter(|_| wanted) else {
            return Ok(None);
        };
        let listener = TcpListener::bind(address).await;
        let listener =
            listener.with_context(|| format!("cannot listen on {address} (listen.{key})"))?;
        tracing::info!(door = key, address = %listener.local_addr()?, "listening");
        Ok(Some(listener))
    };
    Ok(Listeners {
        http: bind(api, "http", http).await?,
        https: bind(api, "https", https).await?,
        smtp: bind(mail, "smtp", smtp).await?,
        submission: bind(mail, "submission", submission).await?,
        submissions: bind(mail, "submissions", submissions).await?,
    })
}
