//! `causeway top`: a live view of one or many roles.
//!
//! From a role to the screen: [`endpoint`] reads the status of a role once, `poll` at each interval. [`model`] keeps
//! the last two readings and makes rates of them, [`tables`] makes the tables, and [`table`] fits one into a width.
//! `screen` and `terminal` show them; `--once` prints them as text.

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

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Top {
    /// A role's configuration. Its [http] section names the endpoint; without one, its [control] section. May be
    /// given several times.
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// A role's HTTP endpoint, such as http://10.1.0.100:9464, or the path of its control socket. May be
    /// given several times. Default without --config: /run/causeway/control.sock.
    #[arg(long, value_name = "URL|PATH")]
    endpoint: Vec<Endpoint>,
    /// Seconds between two readings, at least 0.1.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = interval)]
    interval: Duration,
    /// Take two readings, an interval apart, print the tables and exit. Needs no terminal.
    #[arg(long)]
    once: bool,
}

const EXAMPLES: &str = "\
Examples:
  causeway top
  causeway top --endpoint http://10.1.0.100:9464 --endpoint http://10.1.0.101:9464
  causeway top --config /etc/causeway/gateway.toml --interval 5
  causeway top --once

Keys: q quit, arrows or j and k scroll, s sort, p pause, ? help.
Exit status: 0 after success; with --once, 0 if every role answered both readings, else 1.";

/// The output of `--once`.
pub struct Once {
    /// The tables.
    pub text: String,
    /// Whether every role answered both readings.
    pub complete: bool,
}

impl Top {
    /// Shows the view until it is closed; with `--once`, returns the tables instead.
    ///
    /// # Errors
    /// A configuration names no endpoint, or stdout is not a terminal.
    pub async fn execute(self) -> anyhow::Result<Option<Once>> {
        let mut endpoints = self.endpoint;
        for file in &self.config {
            endpoints.push(Endpoint::from_config(file)?);
        }
        if endpoints.is_empty() {
            endpoints.push(Endpoint::default());
        }
        if self.once {
            return Ok(Some(once(&endpoints, self.interval).await));
        }
        if !std::io::stdout().is_terminal() {
            bail!("stdout is not a terminal; --once prints without one");
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

async fn once(endpoints: &[Endpoint], interval: Duration) -> Once {
    let mut app = App::new(endpoints.iter().map(Endpoint::to_string));
    let mut complete = true;
    for reading in 0..2 {
        if reading > 0 {
            tokio::time::sleep(interval).await;
        }
        let answers = endpoints.iter().map(async |endpoint| {
            let answer = poll::read(endpoint).await;
            (Instant::now(), answer)
        });
        for (index, (at, answer)) in join_all(answers).await.into_iter().enumerate() {
            complete &= answer.is_ok();
            app.update(index, at, answer);
        }
    }
    Once {
        text: text(&app.tables(Instant::now())),
        complete,
    }
}

/// The tables as text, with all columns.
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
