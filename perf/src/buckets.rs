//! `buckets`: what a cluster's change moves, by the bucket table and by the ways that others take.
//!
//! Counted, not timed: the same figures on every machine.

mod flows;
mod schemes;

use std::path::PathBuf;

use anyhow::{Context, Result};
use causeway_steering::BUCKETS;
use serde::Serialize;

use schemes::{Scheme, Steering};

/// Sizes of clusters that one more or one less is made of.
const SIZES: std::ops::RangeInclusive<u16> = 2..=10;

/// Options of `buckets`.
#[derive(clap::Args)]
pub struct Args {
    /// Also write the figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Flows that are steered
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..=1_000_000))]
    flows: u32,
}

/// The document of `--json`.
#[derive(Serialize)]
struct Document {
    /// Raised when a key changes its meaning.
    version: u32,
    flows: usize,
    figures: Vec<Figure>,
}

/// What one scheme does with one size of cluster.
#[derive(Clone, Copy, Serialize)]
struct Figure {
    scheme: Scheme,
    gateways: u16,
    /// When one more joins.
    joins: Moved,
    /// When one leaves: the mean over all that could.
    leaves: Moved,
    /// The largest share of a gateway against the mean: of the flows, and of the table.
    flows_balance: f64,
    table_balance: Option<f64>,
}

/// Shares, 0 to 1.
#[derive(Clone, Copy, Default, Serialize)]
struct Moved {
    /// Of the flows that change gateways.
    flows: f64,
    /// Of those that go from one that stays to another that was there before: nobody gains.
    needless: f64,
    /// Of the table's entries that change, where there is a table.
    entries: Option<f64>,
}

/// Counts, prints and writes.
pub fn run(args: &Args) -> Result<()> {
    let hashes = flows::hashes(args.flows as usize);
    let mut figures = Vec::new();
    for gateways in SIZES {
        for scheme in Scheme::ALL {
            figures.push(figure(scheme, gateways, &hashes)?);
        }
    }
    let document = Document {
        version: 1,
        flows: hashes.len(),
        figures,
    };
    print(&document);
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(&document)? + "\n";
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn figure(scheme: Scheme, gateways: u16, hashes: &[u64]) -> Result<Figure> {
    let before = Steering::new(scheme, gateways)?;
    let mut leaves = Moved::default();
    for gone in 0..gateways {
        let moved = moved(&before, &before.without(gone)?, hashes);
        leaves.flows += moved.flows / f64::from(gateways);
        leaves.needless += moved.needless / f64::from(gateways);
        if let Some(entries) = moved.entries {
            *leaves.entries.get_or_insert(0.0) += entries / f64::from(gateways);
        }
    }
    let picked: Vec<u16> = hashes.iter().map(|&hash| before.pick(hash)).collect();
    Ok(Figure {
        scheme,
        gateways,
        joins: moved(&before, &before.with_one_more()?, hashes),
        leaves,
        flows_balance: balance(&picked, gateways),
        table_balance: before.entries().map(|table| balance(&table, gateways)),
    })
}

fn moved(before: &Steering, after: &Steering, hashes: &[u64]) -> Moved {
    let share = |count: usize, of: usize| count as f64 / of as f64;
    let ways = hashes
        .iter()
        .map(|&hash| (before.pick(hash), after.pick(hash)));
    let changed: Vec<_> = ways.filter(|(old, new)| old != new).collect();
    let stay = |gateway| before.has(gateway) && after.has(gateway);
    let needless = changed.iter().filter(|&&(old, new)| stay(old) && stay(new));
    let tables = before.entries().zip(after.entries());
    Moved {
        flows: share(changed.len(), hashes.len()),
        needless: share(needless.count(), hashes.len()),
        entries: tables.map(|(old, new)| {
            let changed = old.iter().zip(&new).filter(|(old, new)| old != new);
            share(changed.count(), old.len())
        }),
    }
}

/// The largest share against the mean of gateways 0 to `gateways` - 1.
fn balance(picked: &[u16], gateways: u16) -> f64 {
    let mut counts = vec![0_usize; gateways.into()];
    for &gateway in picked {
        counts[usize::from(gateway)] += 1;
    }
    let most = counts.iter().max().copied().unwrap_or(0);
    most as f64 * f64::from(gateways) / picked.len() as f64
}

fn print(document: &Document) {
    println!("{} flows, one hash for all\n", document.flows);
    let percent = |share: f64| format!("{:.2}", 100.0 * share);
    let least = |gateways: u16| percent(1.0 / f64::from(gateways));
    let none = |_: u16| String::new();
    table(
        document,
        "flows moved, %: n to n + 1",
        |n| least(n + 1),
        |f| percent(f.joins.flows),
    );
    table(document, "flows moved, %: n to n - 1", least, |f| {
        percent(f.leaves.flows)
    });
    let needless = |f: &Figure| percent((f.joins.needless + f.leaves.needless) / 2.0);
    table(
        document,
        "of those between two that stay, %, mean of both",
        none,
        needless,
    );
    let entries = |share: Option<f64>| share.map_or("-".to_owned(), percent);
    table(
        document,
        "table moved, %: n to n + 1",
        |n| least(n + 1),
        |f| entries(f.joins.entries),
    );
    table(document, "table moved, %: n to n - 1", least, |f| {
        entries(f.leaves.entries)
    });
    table(document, "flows, most/mean", none, |f| {
        format!("{:.3}", f.flows_balance)
    });
    let of_table = |f: &Figure| {
        f.table_balance
            .map_or("-".to_owned(), |b| format!("{b:.4}"))
    };
    table(document, "table, most/mean", none, of_table);
    println!(
        "maglev's table has {} entries, causeway's {BUCKETS}",
        schemes::ENTRIES
    );
}

/// A line for each size, a column for each scheme.
fn table(
    document: &Document,
    title: &str,
    least: impl Fn(u16) -> String,
    value: impl Fn(&Figure) -> String,
) {
    println!("{title}");
    print!(
        "{:>3} {:>8}",
        "n",
        if least(2).is_empty() { "" } else { "least" }
    );
    for scheme in Scheme::ALL {
        print!(" {:>10}", scheme.name());
    }
    println!();
    for gateways in SIZES {
        print!("{gateways:>3} {:>8}", least(gateways));
        for figure in document.figures.iter().filter(|f| f.gateways == gateways) {
            print!(" {:>10}", value(figure));
        }
        println!();
    }
    println!();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is known of each scheme by arithmetic.
    #[test]
    fn the_schemes_move_what_theory_says() {
        let hashes = flows::hashes(50_000);
        let near = |got: f64, expected: f64| (got - expected).abs() < 0.01;
        for n in [2_u16, 3, 7, 10] {
            let size = f64::from(n);
            let modulo = figure(Scheme::Modulo, n, &hashes).unwrap();
            assert!(near(modulo.joins.flows, size / (size + 1.0)), "{n}");
            // RFC 2992 on disruption: one that joins at the end moves a half.
            let threshold = figure(Scheme::Threshold, n, &hashes).unwrap();
            assert!(near(threshold.joins.flows, 0.5), "{n}");
            let maglev = figure(Scheme::Maglev, n, &hashes).unwrap();
            assert!(maglev.joins.flows < 2.0 / (size + 1.0), "{n}");
            assert!(maglev.table_balance.unwrap() < 1.01, "{n}");
        }
    }

    /// The table moves a share and no more, and never between two that stay.
    #[test]
    fn the_bucket_table_moves_the_least() {
        let hashes = flows::hashes(10_000);
        for n in SIZES {
            let causeway = figure(Scheme::Causeway, n, &hashes).unwrap();
            let buckets = f64::from(BUCKETS);
            for (moved, least) in [(causeway.joins, n + 1), (causeway.leaves, n)] {
                let most = (buckets / f64::from(least)).ceil() / buckets;
                assert!(moved.entries.unwrap() <= most + 1e-9, "{n}");
                assert_eq!(moved.needless, 0.0, "{n}");
            }
            assert!(
                causeway.table_balance.unwrap() * buckets / f64::from(n)
                    < buckets / f64::from(n) + 1.0
            );
        }
    }
}
