//! `causeway top`: what one or many roles do, live.
//!
//! In the order of a figure's way: [`endpoint`] (where a role is asked), `poll` (again and again), [`model`]
//! (what became of its counters in between), [`tables`] (what is told of it), [`table`] (how that fits into
//! a width), `screen` and `terminal`, or for `--once` a text.

pub mod app;
pub mod endpoint;
mod figures;
pub mod model;
mod poll;
pub mod screen;
pub mod table;
pub mod tables;
mod terminal;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use futures_util::future::join_all;

use app::App;
use endpoint::Endpoint;
use table::{Cell, Table};

/// The arguments of `causeway top`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Top {
    /// A role's configuration: its [http] section, else its [control] section says where it is asked. May
    /// be given several times.
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// A role's HTTP endpoint, such as http://10.1.0.100:9464, or the path of its control socket. May be
    /// given several times. Without any, and without --config: /run/causeway/control.sock.
    #[arg(long, value_name = "URL|PATH")]
    endpoint: Vec<Endpoint>,
    /// Seconds from look to look, at least 0.1.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = interval)]
    interval: Duration,
    /// Look twice, an interval apart, print the tables and end: for scripts. The exit status is 0 if every
    /// role answered.
    #[arg(long)]
    once: bool,
}

const EXAMPLES: &str = "\
Examples:
  causeway top
  causeway top --endpoint http://10.1.0.100:9464 --endpoint http://10.1.0.101:9464
  causeway top --config /etc/causeway/gateway.toml --interval 5
  causeway top --once

Keys: q quit, arrows or j and k scroll, s sort, p pause, ? help.";

/// What was printed, and whether all roles answered.
pub struct Once {
    /// The tables.
    pub text: String,
    /// Whether every role answered both times.
    pub complete: bool,
}

impl Top {
    /// Shows the roles until somebody quits, or with `--once` gives what there is to print.
    ///
    /// # Errors
    /// A configuration does not say where its role is asked, or there is no terminal.
    pub async fn execute(self) -> anyhow::Result<Option<Once>> {
        let mut endpoints = self.endpoint;
        for file in &self.config {
            endpoints.push(Endpoint::of_config(file)?);
        }
        if endpoints.is_empty() {
            endpoints.push(Endpoint::usual());
        }
        if self.once {
            return Ok(Some(once(&endpoints, self.interval).await));
        }
        if !std::io::stdout().is_terminal() {
            bail!("expected a terminal on stdout; --once prints without one");
        }
        terminal::show(&endpoints, self.interval).await?;
        Ok(None)
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds >= 0.1);
    let interval = seconds.and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok());
    interval.ok_or_else(|| "expected a number of seconds, at least 0.1".to_owned())
}

/// Looks twice.
async fn once(endpoints: &[Endpoint], apart: Duration) -> Once {
    let mut app = App::new(endpoints.iter().map(Endpoint::to_string));
    let mut complete = true;
    for look in 0..2 {
        if look > 0 {
            tokio::time::sleep(apart).await;
        }
        let answers = endpoints.iter().map(async |endpoint| {
            let answer = poll::ask(endpoint).await;
            (Instant::now(), answer)
        });
        for (place, (at, answer)) in join_all(answers).await.into_iter().enumerate() {
            complete &= answer.is_ok();
            app.heard(place, at, answer);
        }
    }
    Once {
        text: text(&app.tables(Instant::now())),
        complete,
    }
}

/// The tables as text, as wide as they are.
pub fn text(tables: &[Table]) -> String {
    let mut parts = Vec::with_capacity(tables.len());
    for table in tables {
        let (header, rows) = table.lines(None);
        let mut lines = vec![Cell::from(&table.title).text().to_owned(), header];
        let row = |row: &Vec<Cell>| row.iter().map(Cell::text).collect();
        lines.extend(rows.iter().map(row));
        let trimmed: Vec<_> = lines.iter().map(|line: &String| line.trim_end()).collect();
        parts.push(trimmed.join("\n"));
    }
    parts.join("\n\n")
}
