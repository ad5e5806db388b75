//! The comparison of two measurements, and its text.

use std::fmt;

use anyhow::{Result, ensure};

use super::figure::{Figure, Sample};
use super::measured::{Measured, Plan};
use super::noise::{Verdict, judge, relative_difference, threshold};

/// A larger difference of the load averages means that other processes ran during one measurement only.
const LOAD_APART: f64 = 1.0;
/// The number of names that a list prints before it is cut.
const FEW: usize = 4;

/// The result of a comparison.
#[derive(Debug)]
pub struct Comparison {
    kind: &'static str,
    commits: [String; 2],
    warnings: Vec<String>,
    /// The smallest difference that is reported, as a part of 1, and the number of controls behind it.
    threshold: f64,
    controls: usize,
    /// In the order of the first document.
    rows: Vec<Row>,
    /// Figures that only one document has.
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
            "the first document is of `perf {}` and the second of `perf {}`; both must be of one kind",
            before.kind,
            after.kind
        );
        let differences = differences(before, after);
        ensure!(
            differences.is_empty(),
            "the documents were measured with different options: {}",
            differences.join("; ")
        );
        let threshold = threshold(drifts(before, after));
        let counterpart = |figure: &Figure, of: &Measured| {
            let mut figures = of.content.figures.iter();
            figures.find(|other| other.key == figure.key).cloned()
        };
        let rows: Vec<_> = before
            .content
            .figures
            .iter()
            .filter_map(|figure| {
                let after = counterpart(figure, after)?;
                Some(Row {
                    verdict: judge(figure, &after, threshold),
                    before: figure.clone(),
                    after,
                })
            })
            .collect();
        ensure!(
            !rows.is_empty(),
            "the documents have no figure in common: the first has {}, the second {}",
            first_few(before.content.figures.iter().map(|figure| &figure.key)),
            first_few(after.content.figures.iter().map(|figure| &figure.key))
        );
        let only = |one: &Measured, other: &Measured| {
            let alone = one
                .content
                .figures
                .iter()
                .filter(|figure| counterpart(figure, other).is_none());
            alone.map(|figure| figure.key.clone()).collect()
        };
        let commit = |of: &Measured| of.head.commit.clone().unwrap_or("unknown".to_owned());
        Ok(Comparison {
            kind: before.kind,
            commits: [commit(before), commit(after)],
            warnings: warnings(before, after),
            threshold,
            controls: drifts(before, after).len(),
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

/// The difference of each control that both documents have.
fn drifts(before: &Measured, after: &Measured) -> Vec<f64> {
    let after = &after.content.controls;
    let both = before.content.controls.iter();
    both.filter_map(|(key, before)| Some(relative_difference(*before, *after.get(key)?)))
        .collect()
}

/// The options that differ.
fn differences(before: &Measured, after: &Measured) -> Vec<String> {
    let of = |plan: &Plan, name: &str| {
        let mut found = plan.iter();
        found
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.clone())
    };
    // A curve in one document only is no difference here: its figures are listed as missing.
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
        warnings.push(format!("the machines differ: {this} before, {that} after"));
    }
    if let ([Some(this), _], [Some(that), _]) = (one.load, other.load) {
        let busy = this > one.machine.cores as f64 || that > other.machine.cores as f64;
        if busy || (this - that).abs() > LOAD_APART {
            warnings.push(format!(
                "other processes used the machine: load average {this:.1} before the first measurement, {that:.1} before the second"
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
                "{controls} controls, which do not run Causeway, were compared: "
            )?;
        }
        writeln!(
            f,
            "only differences of more than {:.1} % are listed",
            self.threshold * 100.0
        )?;
        self.table(f, "worse", self.rows(Verdict::Worse))?;
        self.table(f, "better", self.rows(Verdict::Better))?;
        let unjudged = self.rows(Verdict::Unjudged);
        let apart =
            |row: &&Row| relative_difference(row.before.sample.median(), row.after.sample.median());
        let unjudged = unjudged.filter(|row| apart(row) > self.threshold);
        self.table(
            f,
            "differs, but with too few runs to know the noise",
            unjudged,
        )?;
        for (when, keys) in ["before", "after"].iter().zip(&self.only) {
            if !keys.is_empty() {
                writeln!(f, "\nonly {when}: {}", first_few(keys.iter()))?;
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
                change_text(before, after),
                sample_text(&before.sample),
                sample_text(&after.sample),
                before.unit,
            )?;
        }
        Ok(())
    }
}

/// The first few names, and the number of the others.
fn first_few<'a>(keys: impl Iterator<Item = &'a String>) -> String {
    let keys: Vec<&str> = keys.map(String::as_str).collect();
    let (first, others) = keys.split_at(keys.len().min(FEW));
    match others.len() {
        0 => first.join("; "),
        more => format!("{}; and {more} more", first.join("; ")),
    }
}

/// The change in percent. From zero there is none.
fn change_text(before: &Figure, after: &Figure) -> String {
    let (one, other) = (before.sample.median(), after.sample.median());
    match one == 0.0 {
        true => "from 0".to_owned(),
        false => format!("{:+.1} %", (other / one - 1.0) * 100.0),
    }
}

/// The median, with the lowest and the highest run in brackets.
fn sample_text(sample: &Sample) -> String {
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
