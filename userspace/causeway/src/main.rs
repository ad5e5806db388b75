//! The `causeway` command.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use causeway::check::{self, Findings};
use causeway::config::Config;
use causeway::explain::Explain;
use causeway::local::Local;
use causeway::status::Role;
use causeway::top::Top;
use causeway::tune::Tune;
use causeway::{key, run, sequence};
use causeway_esp::Cipher;
use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Encrypted cluster peering: joins VPCs through a cluster of IPsec gateways, with XDP and AF_XDP.
///
/// Each VPC runs a demux, which spreads the VPC's flows over its gateways by a hash, and gateways,
/// each of which carries its share as ESP. The configuration is described in docs/configuration.md,
/// the metrics in docs/metrics.md.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  causeway key steering /etc/causeway/steering.key
  causeway key new --cipher aes-256-gcm /etc/causeway/outbound.key
  causeway check --config /etc/causeway/gateway.toml --role gateway
  causeway tune --check --config /etc/causeway/gateway.toml
  causeway gateway --config /etc/causeway/gateway.toml
  causeway local sa list
  causeway local gateway list
  causeway top
  causeway explain '10.1.0.5:1234 > 10.2.0.7:443 tcp'

Logs go to stderr. RUST_LOG sets what is logged, such as RUST_LOG=debug; the default is info.
Exit status: 0 after success, 1 after an error, 2 for a wrong command line.";

#[derive(Subcommand)]
enum Command {
    /// Spread the VPC's flows over its gateways, on other hosts or on this one.
    ///
    /// Runs until SIGTERM or SIGINT, then drains for at most 2 seconds and prints its last status as
    /// one line of JSON on stdout.
    Demux(Run),
    /// Carry this gateway's share of the flows as ESP.
    ///
    /// Runs until SIGTERM or SIGINT, then drains for at most 2 seconds and prints its last status as
    /// one line of JSON on stdout.
    Gateway(Run),
    /// Validate a configuration without starting anything.
    ///
    /// Names all that is wrong with the file, its key files and this host, each with its line. Missing
    /// privileges are warnings, so that any user who can read the keys can ask.
    Check(Check),
    /// Tell what the host should change for a role to be fast, with the command for each; docs/tune.md.
    ///
    /// Looks at CPU frequency and idle states, NUMA, isolated cores, interrupts, and the NIC's queues,
    /// rings, offloads and MTU against the configuration's workers and cores.
    Tune(Tune),
    /// Make key files, readable by their owner only. An existing file is never overwritten.
    #[command(subcommand)]
    Key(Key),
    /// Tell step by step where a packet would go, and why.
    ///
    /// By the tables of the role that runs on this host, read from the XDP program's maps, or with
    /// --config by those that a configuration makes. The parser and the verdict are the program's own.
    Explain(Explain),
    /// Ask a role that runs on this host to do something.
    ///
    /// Over its control socket, which the configuration's [control] section opens to the user that the
    /// role runs as, and to root.
    Local(Local),
    /// Show live what one or many roles do: gateways, workers, drops, latencies, where time goes.
    ///
    /// Every role is asked for its status over HTTP or over its control socket. docs/top.md says what the
    /// columns are.
    Top(Top),
}

#[derive(Args)]
struct Run {
    /// The configuration, a TOML file; paths in it are relative to its directory.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Args)]
struct Check {
    /// The configuration, a TOML file; paths in it are relative to its directory.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The role that the file is for; without it, any role that it fits.
    #[arg(long)]
    role: Option<Role>,
    /// Judge the files alone, not this host: for a file that is meant for another machine.
    #[arg(long)]
    offline: bool,
}

#[derive(Subcommand)]
enum Key {
    /// Make a key for one SA: one direction of one worker's tunnel.
    ///
    /// Makes FILE, and FILE.sequence beside it, which records the sequence numbers that the key has
    /// used. The sender needs both and is the only one to have FILE.sequence; copy FILE to the
    /// receiver. Never use one key for two SAs, and never restore an old FILE.sequence.
    New {
        /// aes-128-gcm, aes-256-gcm or chacha20-poly1305.
        #[arg(long, value_name = "CIPHER", default_value = "aes-128-gcm")]
        cipher: Cipher,
        /// The file to make.
        file: PathBuf,
    },
    /// Make the key of the steering hash, 128 bits; copy it to every host of both VPCs.
    Steering {
        /// The file to make.
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match execute(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn execute(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demux(run) => start(&run.config, Role::Demux).await,
        Command::Gateway(run) => start(&run.config, Role::Gateway).await,
        Command::Check(check) => judge(&check).await,
        Command::Explain(explain) => {
            explain.execute().await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Tune(tune) => {
            let (text, good) = tune.execute().await?;
            say(&text)?;
            Ok(if good {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Command::Local(local) => say(&local.execute()?),
        Command::Top(top) => match top.execute().await? {
            Some(once) => {
                say(&once.text)?;
                Ok(ExitCode::from(u8::from(!once.complete)))
            }
            None => Ok(ExitCode::SUCCESS),
        },
        Command::Key(Key::New { cipher, file }) => {
            key::new_sa(&file, cipher)?;
            say(&format!(
                "made {} ({cipher}) and {}; copy the first to the receiver, the second nowhere",
                file.display(),
                sequence::sequence_file(&file).display()
            ))
        }
        Command::Key(Key::Steering { file }) => {
            key::new_steering(&file)?;
            say(&format!(
                "made {}; copy it to every host of both VPCs",
                file.display()
            ))
        }
    }
}

async fn start(path: &Path, role: Role) -> anyhow::Result<ExitCode> {
    let config = Config::load(path)?;
    for warning in check::for_start(&config, role).await? {
        tracing::warn!("{warning}");
    }
    let last = run::run(config.into_plan(), role).await?;
    say(&serde_json::to_string(&last)?)?;
    Ok(if last.drained {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn judge(check: &Check) -> anyhow::Result<ExitCode> {
    let config = Config::load(&check.config)?;
    let Findings { problems, warnings } = if check.offline {
        check::offline(&config, check.role)
    } else {
        check::here(&config, check.role)
            .await
            .context("this host cannot be examined; --offline judges the file alone")?
    };
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    for problem in &problems {
        eprintln!("{problem}");
    }
    if !problems.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    say(&format!("{}: good", check.config.display()))
}

/// One line on stdout; a closed pipe is an error and no panic.
fn say(line: &str) -> anyhow::Result<ExitCode> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}
