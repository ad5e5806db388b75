//! The `causeway` command.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use causeway::explain::Explain;
use causeway::local::Local;
use causeway::top::Top;
use causeway::tune::Tune;
use causeway_api::status::Role;
use causeway_config::Config;
use causeway_config::check::{self, Findings};
use causeway_esp::Cipher;
use causeway_keys::{self as key, sequence};
use causeway_node::Node;
use causeway_routes::guard;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Encrypted cluster peering: connects VPCs through clusters of IPsec gateways, with XDP and AF_XDP.
///
/// Each VPC runs a demux, which spreads the VPC's flows over gateways by a keyed hash. Each gateway
/// carries its share as ESP. docs/configuration.md describes the configuration, docs/metrics.md the
/// metrics, docs/glossary.md the terms.
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

Logs go to stderr. RUST_LOG sets the level, such as RUST_LOG=debug; the default is info.
Exit status: 0 after success, 1 after an error, 2 for a wrong command line.";

#[derive(Subcommand)]
enum Command {
    /// Run a demux: spread the VPC's flows over gateways, on other hosts or on this one.
    ///
    /// Runs until SIGTERM or SIGINT, then drains for at most 2 seconds and prints the last status as one
    /// line of JSON on stdout. Exit status: 0 if the drain was complete, else 1.
    Demux(Run),
    /// Run a gateway: seal and open this gateway's share of the flows.
    ///
    /// Runs until SIGTERM or SIGINT, then drains for at most 2 seconds and prints the last status as one
    /// line of JSON on stdout. Exit status: 0 if the drain was complete, else 1.
    Gateway(Run),
    /// Validate a configuration without starting anything.
    ///
    /// Prints every error in the file, its key files and this host's setup, with its line. Missing
    /// privileges are warnings, so that every user who can read the keys can run this command.
    /// Exit status: 0 if the configuration is valid, else 1.
    Check(Check),
    /// Keep the kernel from forwarding plaintext to the peers' prefixes, also while no role runs.
    ///
    /// Adds a policy rule and a blackhole route for each prefix of the configuration's peerings. Packets that this
    /// host itself sends are not affected. Every start of a role does the same, and it stays when the role ends, for
    /// whatever reason. Run it at boot, before the host forwards packets. Exit status: 0 after success, else 1.
    Guard(Guard),
    /// Check and change host settings that affect throughput and latency.
    ///
    /// Compares CPU frequency, idle states, NUMA, isolated cores, interrupts, and the NIC's queues, rings,
    /// offloads and MTU with the configuration's workers and cores. docs/tune.md lists the settings.
    Tune(Tune),
    /// Make key files that only their owner can read. An existing file is never overwritten.
    #[command(subcommand)]
    Key(Key),
    /// Explain step by step where the XDP program sends a packet, and why.
    ///
    /// Uses the maps of the XDP program of the role on this host, or with --config the tables that a
    /// configuration makes. Parser and verdict are the code of the XDP program. docs/explain.md describes
    /// the output.
    Explain(Explain),
    /// Control a role on this host: SAs, and the clusters of a demux.
    ///
    /// Uses the control socket, which the configuration's section [control] opens to the role's user and
    /// to root. Exit status: 0 after success, 1 after an error or a refusal.
    Local(Local),
    /// Show gateways, workers, drops, latencies and stage times of one or many roles, live.
    ///
    /// Reads each role's status over HTTP or over its control socket. docs/top.md describes the columns.
    Top(Top),
}

#[derive(Args)]
struct Run {
    /// The configuration, a TOML file; paths in it are relative to its directory.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Args)]
struct Guard {
    /// The configuration, a TOML file; paths in it are relative to its directory.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Remove the guard of these prefixes: from now on the kernel may forward to them in clear.
    #[arg(long)]
    remove: bool,
}

#[derive(Args)]
struct Check {
    /// The configuration, a TOML file; paths in it are relative to its directory.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The role of the file. Default: any role that the file fits.
    #[arg(long, value_parser = PossibleValuesParser::new(["demux", "gateway"]).try_map(|name| name.parse::<Role>()))]
    role: Option<Role>,
    /// Check the files but not this host, for a configuration of another host.
    #[arg(long)]
    offline: bool,
}

#[derive(Subcommand)]
enum Key {
    /// Make a key for one SA: one direction of one worker's tunnel.
    ///
    /// Makes FILE and FILE.sequence, which records the sequence numbers that the key has used. The sender
    /// needs both files. Copy FILE to the receiver, but never copy FILE.sequence. Never use one key for two SAs,
    /// and never restore an old FILE.sequence.
    New {
        /// aes-128-gcm, aes-256-gcm or chacha20-poly1305.
        #[arg(long, value_name = "CIPHER", default_value = "aes-128-gcm")]
        cipher: Cipher,
        /// The file to make.
        file: PathBuf,
    },
    /// Make the key of the steering hash, 128 bits. Copy it to every host of both VPCs.
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
        Command::Demux(args) => run(&args.config, Role::Demux).await,
        Command::Gateway(args) => run(&args.config, Role::Gateway).await,
        Command::Check(check) => check_config(&check).await,
        Command::Guard(args) => guard_prefixes(&args).await,
        Command::Explain(explain) => {
            explain.execute().await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Tune(tune) => {
            let (text, success) = tune.execute().await?;
            print_line(&text)?;
            Ok(if success {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Command::Local(local) => print_line(&local.execute()?),
        Command::Top(top) => match top.execute().await? {
            Some(once) => {
                print_line(&once.text)?;
                Ok(ExitCode::from(u8::from(!once.complete)))
            }
            None => Ok(ExitCode::SUCCESS),
        },
        Command::Key(Key::New { cipher, file }) => {
            key::new_sa(&file, cipher)?;
            print_line(&format!(
                "made {} ({cipher}) and {}; copy the first file to the receiver, but never copy the second file",
                file.display(),
                sequence::sequence_file(&file).display()
            ))
        }
        Command::Key(Key::Steering { file }) => {
            key::new_steering(&file)?;
            print_line(&format!(
                "made {}; copy it to every host of both VPCs",
                file.display()
            ))
        }
    }
}

async fn run(path: &Path, role: Role) -> anyhow::Result<ExitCode> {
    let config = Config::load(path)?;
    for warning in check::for_start(&config, role).await? {
        tracing::warn!("{warning}");
    }
    // Signals are handled before the start, so that a signal during the start leads to a drain.
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let mut node = Node::start(config.into_plan(), role).await?;
    node.serve(async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
    .await?;
    let last = node.drain().await?;
    print_line(&serde_json::to_string(&last)?)?;
    Ok(if last.drained {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn check_config(check: &Check) -> anyhow::Result<ExitCode> {
    let config = Config::load(&check.config)?;
    let Findings { problems, warnings } = if check.offline {
        check::offline(&config, check.role)
    } else {
        check::here(&config, check.role)
            .await
            .context("cannot read the state of this host; --offline checks only the files")?
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
    print_line(&format!("{}: valid", check.config.display()))
}

async fn guard_prefixes(args: &Guard) -> anyhow::Result<ExitCode> {
    let prefixes = Config::load(&args.config)?.plan().guarded();
    let done = if args.remove {
        guard::remove(&prefixes).await?;
        "not guarded any more"
    } else {
        guard::install(&prefixes).await?;
        "guarded"
    };
    let names: Vec<_> = prefixes.iter().map(ToString::to_string).collect();
    print_line(&format!("{done}: {}", names.join(", ")))
}

/// Prints a line on stdout. A closed pipe is an error, not a panic.
fn print_line(line: &str) -> anyhow::Result<ExitCode> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}
