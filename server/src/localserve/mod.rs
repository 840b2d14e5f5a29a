//! `posthouse localserve`: everything on loopback, with a Postgres of its own in a data directory.
//!
//! Needs no configuration. Other programs wait for `DATA/localserve.json`, which is there from the
//! moment when all doors are open until the stop.

mod announce;
mod files;
mod options;
mod ports;
mod tenant;

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result, bail};
use posthouse_core::ports::{
    Clock, SystemClock,
    hickory::{Dnssec, HickoryResolver},
};
use posthouse_postgres::{ClusterOptions, PrivateCluster};
use posthouse_smtp_gateway::SmtpConfig;
use tokio_util::sync::CancellationToken;

pub(crate) use files::master_key;
pub use options::{Deliver, Options};

use crate::{
    app::{App, AppConfig, Listeners, Outgoing},
    database::DatabaseSettings,
    output,
    roles::Roles,
    signals,
    tls::{LocalCertificates, SessionTickets, server_config},
};
use announce::{Announcement, Facts};
use files::DataDir;
use ports::Ports;
use tenant::Secrets;

const ANNOUNCEMENT: &str = "localserve.json";
const DATABASE: &str = "posthouse";
const CONNECTIONS: u32 = 30;
/// One process at a time uses the data: a start takes over from the one before at once.
const NODE: &str = "localserve";

/// Runs until a signal ends it.
pub async fn run(options: Options) -> Result<()> {
    let shutdown = signals::shutdown_token()?;
    let data = DataDir::open(&options.data)?;
    data.remove(ANNOUNCEMENT)?;
    let ports = Ports::new(options.port_base)?;
    let listeners = ports.listen(options.ip).await?;
    let started = PrivateCluster::start(data.path(), ClusterOptions::durable());
    let Some(cluster) = shutdown.run_until_cancelled(started).await else {
        return Ok(());
    };
    let cluster = cluster.context("cannot start the private Postgres")?;
    let local = Local { options, data, ports };
    let done = local.serve(listeners, &cluster, &shutdown).await;
    // Even when nothing else worked.
    local.data.remove(ANNOUNCEMENT)?;
    cluster.stop().await.context("cannot stop the private Postgres")?;
    done
}

struct Local {
    options: Options,
    data: DataDir,
    ports: Ports,
}

impl Local {
    async fn serve(
        &self,
        listeners: Listeners,
        cluster: &PrivateCluster,
        shutdown: &CancellationToken,
    ) -> Result<()> {
        cluster.create_database_if_missing(DATABASE).await?;
        let database_url = cluster.database_url(DATABASE);
        let database = DatabaseSettings::from_url(&database_url, CONNECTIONS)?;
        database.migrate().await?;
        let names = certificate_names(self.options.ip);
        let certificates = LocalCertificates::ensure(self.data.path(), &names, SystemClock.now())?;
        let config = self.app_config(listeners, &database, &certificates)?;
        let app = App::start(config).await?;
        let done = async {
            let secrets = tenant::ensure(app.platform(), &self.data).await?;
            self.announce(secrets, database_url, certificates.ca_file)?;
            tokio::select! {
                () = shutdown.cancelled() => Ok(()),
                error = app.failed() => Err(error),
                () = cluster.wait_for_exit() => bail!("the private Postgres ended: see postgres.log"),
            }
        };
        let done = done.await;
        // Nobody shall find what is about to go.
        self.data.remove(ANNOUNCEMENT)?;
        app.stop().await;
        done
    }

    fn app_config(
        &self,
        listeners: Listeners,
        database: &DatabaseSettings,
        certificates: &LocalCertificates,
    ) -> Result<AppConfig> {
        let LocalCertificates { cert_file, key_file, .. } = certificates;
        let mut core = self.options.core(self.data.private_directory("blobs")?);
        core.public_url = Some(announce::http_url(self.options.ip, self.ports));
        core.spool.directory = self.data.private_directory("spool")?;
        Ok(AppConfig {
            node_name: NODE.to_owned(),
            pool: database.pool(NODE),
            clock: Arc::new(SystemClock),
            resolver: Arc::new(self.resolver()?),
            master_key: *self.data.master_key()?.octets(),
            listeners,
            tls: Some(server_config(cert_file, key_file, &[], SessionTickets::Issued)?),
            roles: Roles::all(),
            outbound: Outgoing::smtp(&core),
            api: posthouse_api::Limits::default(),
            smtp: smtp(),
            core,
        })
    }

    /// The sandbox also works where there is no DNS.
    fn resolver(&self) -> Result<HickoryResolver> {
        let servers: Vec<_> = self.options.resolver.into_iter().collect();
        match HickoryResolver::new(&servers, &Dnssec::Off) {
            Ok(resolver) => Ok(resolver),
            Err(error) if self.options.deliver == Deliver::Sandbox => {
                tracing::warn!("this machine has no usable DNS settings: {error}");
                let nobody = "127.0.0.1:53".parse()?;
                HickoryResolver::new(&[nobody], &Dnssec::Off).context("cannot set up DNS")
            }
            Err(error) => Err(error).context("cannot set up DNS; give a server with --resolver"),
        }
    }

    fn announce(&self, secrets: Secrets, database_url: String, tls_ca_file: PathBuf) -> Result<()> {
        let announcement = Announcement::from(Facts {
            ip: self.options.ip,
            ports: self.ports,
            deliver: self.options.deliver,
            secrets,
            database_url,
            tls_ca_file,
            data_dir: self.data.path().to_owned(),
        });
        let json = announcement.json()?;
        self.data.write(ANNOUNCEMENT, &format!("{json}\n"))?;
        output::line(if self.options.json { json } else { announcement.text() });
        Ok(())
    }
}

fn certificate_names(ip: IpAddr) -> Vec<String> {
    if ip.is_unspecified() { Vec::new() } else { vec![ip.to_string()] }
}

/// All clients are on this machine, and are tools of its user.
fn smtp() -> SmtpConfig {
    let defaults = SmtpConfig::default();
    SmtpConfig {
        plain_login_on_loopback: true,
        connections_per_network: [defaults.connections; 3],
        ..defaults
    }
}
