//! The posthouse binary: reads the command line and runs a command.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Parser, Subcommand};
use posthouse_server::{
    admin, cid,
    config::{self, ConfigFaults, Environment, MasterKey, Settings},
    localserve,
    logging::{self, Format, LogSettings},
    open_files, output,
    roles::{Role, Roles},
    serve,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `EX_CONFIG` of sysexits.h: trying again does not help.
const EXIT_CONFIG: u8 = 78;

/// A self-hosted email platform: HTTP first.
#[derive(Debug, Parser)]
#[command(name = "posthouse", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server with a configuration
    Serve {
        #[command(flatten)]
        config: ConfigFile,
        /// Roles of this process instead of those in the configuration
        #[arg(long, value_enum, value_delimiter = ',', value_name = "ROLE")]
        only: Vec<Role>,
    },
    /// Run everything on this machine, for trying and developing; needs no configuration
    Localserve(localserve::Options),
    /// Check a configuration, or show all keys with their defaults
    Config {
        /// Print a documented configuration with all defaults
        #[arg(long, conflicts_with = "config")]
        explain: bool,
        /// Configuration to check
        #[arg(
            long,
            env = "POSTHOUSE_CONFIG",
            value_name = "FILE",
            required_unless_present = "explain"
        )]
        config: Option<PathBuf>,
    },
    /// Print a new master key
    GenerateKey,
    /// Make an administrator's account and print an API key for it, once
    CreateAdmin {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        options: admin::Options,
    },
    /// Tell the connection or message in the log that an id in a Received field stands for
    Cid(cid::Options),
    /// Print the version
    Version,
}

#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// Configuration, see `posthouse config --explain`
    #[arg(long = "config", env = "POSTHOUSE_CONFIG", value_name = "FILE")]
    path: PathBuf,
}

impl ConfigFile {
    fn load(&self) -> Result<Settings> {
        Settings::load(&self.path, Environment::read())
    }
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            let config = error.downcast_ref::<ConfigFaults>().is_some();
            if config { ExitCode::from(EXIT_CONFIG) } else { ExitCode::FAILURE }
        }
    }
}

fn run(command: Command) -> Result<()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow!("a TLS provider is already installed"))?;
    match command {
        Command::Serve { config, only } => {
            let mut settings = config.load()?;
            if !only.is_empty() {
                settings.roles = roles(only)?;
            }
            logging::init(&settings.log)?;
            open_files::raise_limit();
            block_on(serve::run(settings))
        }
        Command::Localserve(options) => {
            logging::init(&local_log())?;
            open_files::raise_limit();
            block_on(localserve::run(options))
        }
        Command::Config { explain: true, .. } => {
            output::line(config::EXAMPLE.trim_end());
            Ok(())
        }
        Command::Config { config, .. } => {
            let path = config.context("--config FILE or --explain is needed")?;
            Settings::load(&path, Environment::read())?;
            output::line(format!("{} is valid", path.display()));
            Ok(())
        }
        Command::GenerateKey => {
            output::line(MasterKey::generate().to_base64());
            Ok(())
        }
        Command::CreateAdmin { config, options } => {
            let mut settings = config.load()?;
            "warn".clone_into(&mut settings.log.level);
            logging::init(&settings.log)?;
            block_on(admin::create_admin(settings, options))
        }
        Command::Cid(options) => cid::run(&options),
        Command::Version => {
            output::line(concat!("posthouse ", env!("CARGO_PKG_VERSION")));
            Ok(())
        }
    }
}

fn roles(only: Vec<Role>) -> Result<Roles> {
    let roles: Roles = only.into_iter().collect();
    match roles.fault() {
        Some(fault) => bail!("--only: {fault}"),
        None => Ok(roles),
    }
}

fn block_on(command: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // Boxed: the state of the whole server is large.
    runtime.block_on(Box::pin(command))
}

fn local_log() -> LogSettings {
    let directives = Environment::read().log;
    LogSettings { format: Format::Human, level: "info".to_owned(), directives }
}
