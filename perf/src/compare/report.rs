//! Two measurements side by side.

use std::fmt;

use anyhow::{Result, ensure};

use super::figure::{Figure, Sample};
use super::kind::{Measured, Plan};
use super::noise::{Verdict, judge, least, moved};

/// Load averages that differ by more say that others worked at one time and not at the other.
const LOAD_APART: f64 = 1.0;
/// Names that are told of many.
const FEW: usize = 4;

/// What a comparison found.
#[derive(Debug)]
pub struct Comparison {
    kind: &'static str,
    commits: [String; 2],
    warnings: Vec<String>,
    /// The least change that is told, as a part of 1, and how many controls say so.
    least: f64,
    controls: usize,
    /// In the order of the first document.
    rows: Vec<Row>,
    /// Figures of one document alone.
    only: [Vec<String>; 2],
}

#[derive(Debug)]
struct Row {
    verdict: Verdict,
    before: Figure,
    after: Figure,
}

impl Comparison {
    /// Compares two documents.
    ///
    /// # Errors
    ///
    /// They are of different kinds or plans, or have no figure in common.
    pub fn of(before: &Measured, after: &Measured) -> Result<Comparison> {
        ensure!(
            before.kind == after.kind,
            "the first is of `perf {}` and the second of `perf {}`: only one kind can be compared",
            before.kind,
            after.kind
        );
        let differences = differences(before, after);
        ensure!(
            differences.is_empty(),
            "the documents were measured by different plans: {}",
            differences.join("; ")
        );
        let least = least(moves(before, after));
        let twin = |figure: &Figure, of: &Measured| {
            let mut figures = of.content.figures.iter();
            figures.find(|other| other.key == figure.key).cloned()
        };
        let rows: Vec<_> = before
            .content
            .figures
            .iter()
            .filter_map(|figure| {
                let after = twin(figure, after)?;
                Some(Row {
                    verdict: judge(figure, &after, least),
                    before: figure.clone(),
                    after,
                })
            })
            .collect();
        ensure!(
            !rows.is_empty(),
            "the documents have no figure in common: before there is {}, after {}",
            some(before.content.figures.iter().map(|figure| &figure.key)),
            some(after.content.figures.iter().map(|figure| &figure.key))
        );
        let only = |one: &Measured, other: &Measured| {
            let alone = one
                .content
                .figures
                .iter()
                .filter(|figure| twin(figure, other).is_none());
            alone.map(|figure| figure.key.clone()).collect()
        };
        let commit = |of: &Measured| of.head.commit.clone().unwrap_or("unknown".to_owned());
        Ok(Comparison {
            kind: before.kind,
            commits: [commit(before), commit(after)],
            warnings: warnings(before, after),
            least,
            controls: moves(before, after).len(),
            rows,
            only: [only(before, after), only(after, before)],
        })
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.rows(verdict).count()
    }

    fn rows(&self, verdict: Verdict) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.verdict == verdict)
    }

    /// Figures that got worse.
    pub fn worse(&self) -> usize {
        self.count(Verdict::Worse)
    }

    /// Figures that got better.
    #[cfg(test)]
    pub fn better(&self) -> usize {
        self.count(Verdict::Better)
    }
}

/// By how much each control moved that both have.
fn moves(before: &Measured, after: &Measured) -> Vec<f64> {
    let after = &after.content.controls;
    let both = before.content.controls.iter();
    both.filter_map(|(key, before)| Some(moved(*before, *after.get(key)?)))
        .collect()
}

/// What was asked for differently.
fn differences(before: &Measured, after: &Measured) -> Vec<String> {
    let of = |plan: &Plan, name: &str| {
        let mut found = plan.iter();
        found
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.clone())
    };
    // A curve that one of them has not is no difference: its figures are told as missing.
    let both = before.content.plan.iter().filter_map(|(name, value)| {
        let other = of(&after.content.plan, name).filter(|other| other != value)?;
        Some(format!("{name} was {value} and is {other}"))
    });
    both.collect()
}

fn warnings(before: &Measured, after: &Measured) -> Vec<String> {
    let (one, other) = (&before.head, &after.head);
    let mut warnings = Vec::new();
    let (this, that) = (one.machine.to_string(), other.machine.to_string());
    if this != that {
        warnings.push(format!("not the same machine: {this} before, {that} after"));
    }
    if let ([Some(this), _], [Some(that), _]) = (one.load, other.load) {
        let busy = this > one.machine.cores as f64 || that > other.machine.cores as f64;
        if busy || (this - that).abs() > LOAD_APART {
            warnings.push(format!(
                "others used the machine: load average {this:.1} before the first, {that:.1} before the second"
            ));
        }
    }
    warnings
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [before, after] = &self.commits;
        writeln!(
            f,
            "perf {}: commit {before} before, {after} after",
            self.kind
        )?;
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        if self.controls > 0 {
            let controls = self.controls;
            write!(
                f,
                "{controls} controls, which no change of Causeway touches, were looked at: "
            )?;
        }
        writeln!(
            f,
            "only what moved by more than {:.1} % is told",
            self.least * 100.0
        )?;
        self.table(f, "worse", self.rows(Verdict::Worse))?;
        self.table(f, "better", self.rows(Verdict::Better))?;
        let unjudged = self.rows(Verdict::Unjudged);
        let apart = |row: &&Row| moved(row.before.sample.median(), row.after.sample.median());
        let unjudged = unjudged.filter(|row| apart(row) > self.least);
        self.table(f, "differs, but too few runs tell its noise", unjudged)?;
        for (when, keys) in ["before", "after"].iter().zip(&self.only) {
            if !keys.is_empty() {
                writeln!(f, "\nonly {when}: {}", some(keys.iter()))?;
            }
        }
        writeln!(
            f,
            "\n{} better, {} worse, {} the same within the noise, {} not judged",
            self.count(Verdict::Better),
            self.count(Verdict::Worse),
            self.count(Verdict::Same),
            self.count(Verdict::Unjudged),
        )
    }
}

impl Comparison {
    fn table<'a>(
        &self,
        f: &mut fmt::Formatter<'_>,
        title: &str,
        rows: impl Iterator<Item = &'a Row>,
    ) -> fmt::Result {
        let rows: Vec<_> = rows.collect();
        if rows.is_empty() {
            return Ok(());
        }
        let width = rows.iter().map(|row| row.before.key.chars().count()).max();
        let width = width.unwrap_or(0);
        writeln!(f, "\n{title}:")?;
        for Row { before, after, .. } in rows {
            writeln!(
                f,
                "  {:<width$}  {:>8}  {:>22} -> {:<22} {}",
                before.key,
                change(before, after),
                shown(&before.sample),
                shown(&after.sample),
                before.unit,
            )?;
        }
        Ok(())
    }
}

/// The first few names, and how many there are besides.
fn some<'a>(keys: impl Iterator<Item = &'a String>) -> String {
    let keys: Vec<&str> = keys.map(String::as_str).collect();
    let (first, others) = keys.split_at(keys.len().min(FEW));
    match others.len() {
        0 => first.join("; "),
        more => format!("{}; and {more} more", first.join("; ")),
    }
}

/// By how many per cent; from nothing there is no such number.
fn change(before: &Figure, after: &Figure) -> String {
    let (one, other) = (before.sample.median(), after.sample.median());
    match one == 0.0 {
        true => "from 0".to_owned(),
        false => format!("{:+.1} %", (other / one - 1.0) * 100.0),
    }
}

/// The median, and in brackets the lowest and the highest run.
fn shown(sample: &Sample) -> String {
    let figure = |value: f64| match value.abs() {
        small if small < 10.0 => format!("{value:.3}"),
        large if large < 1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    let (min, max) = sample.extremes();
    match sample {
        Sample::Runs(_) | Sample::Extremes { .. } => format!(
            "{} [{}, {}]",
            figure(sample.median()),
            figure(min),
            figure(max)
        ),
        Sample::Exact(value) | Sample::Single(value) if value.fract() == 0.0 => format!("{value}"),
        Sample::Exact(value) | Sample::Single(value) => figure(*value),
    }
}
