//! `cargo xtask verify standards`: what the standards demand, and the tests that show it.
//!
//! docs/standards.toml holds the demands. A test says above itself which of them it shows, with
//! `/// Standard: ` and their ids.

mod marks;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::build::Built;
use crate::shell;
use crate::workspace::Workspace;
use marks::Mark;

/// The list of demands, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    demand: Vec<Demand>,
}

/// One thing that a standard asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Demand {
    id: String,
    clause: String,
    sentence: String,
    /// Why it is not done, or how far it is not. Where tests name it too, a part of it is done.
    undone: Option<String>,
}

/// The demands, and all tests that name one.
struct Standards {
    demands: Vec<Demand>,
    marks: Vec<Mark>,
}

/// Runs every test that shows a demand, and prints what each demand rests on.
pub fn verify(workspace: &Workspace, built: &Built) -> Result<bool> {
    let standards = read(workspace)?;
    let passed = run(workspace, built, &standards.marks)?;
    let (table, holds) = table(&standards, &passed);
    print!("{table}");
    Ok(holds)
}

/// The list and the marks, which must agree.
fn read(workspace: &Workspace) -> Result<Standards> {
    let path = workspace.root().join("docs/standards.toml");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let List { demand: demands } =
        toml::from_str(&text).with_context(|| path.display().to_string())?;
    let standards = Standards {
        demands,
        marks: marks::collect(workspace.root())?,
    };
    let faults = faults(&standards);
    if !faults.is_empty() {
        bail!(
            "docs/standards.toml and the tests disagree:\n{}",
            faults.join("\n")
        );
    }
    Ok(standards)
}

fn faults(standards: &Standards) -> Vec<String> {
    let mut faults = Vec::new();
    let mut known = BTreeSet::new();
    for Demand { id, undone, .. } in &standards.demands {
        if !known.insert(id) {
            faults.push(format!("  {id} stands in the list twice"));
        }
        let tested = standards.marks.iter().any(|mark| mark.ids.contains(id));
        if !tested && undone.as_ref().is_none_or(|why| why.trim().is_empty()) {
            faults.push(format!(
                "  {id} has neither a test nor a reason why it is undone"
            ));
        }
    }
    for mark in &standards.marks {
        for id in mark.ids.iter().filter(|id| !known.contains(id)) {
            faults.push(format!(
                "  {} names the unknown demand {id:?}",
                mark.place()
            ));
        }
    }
    faults
}

/// The tests that passed, as (package, function). Cargo is called once for each package.
fn run(workspace: &Workspace, built: &Built, marks: &[Mark]) -> Result<BTreeSet<(String, String)>> {
    let mut packages: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for mark in marks {
        packages
            .entry(&mark.package)
            .or_default()
            .insert(&mark.test);
    }
    let mut passed = BTreeSet::new();
    for (package, tests) in packages {
        println!("running {} tests of {package}", tests.len());
        let mut cargo = shell::cargo();
        cargo
            .current_dir(workspace.root())
            .env("CAUSEWAY_XDP_OBJECT", &built.xdp_object)
            .args([
                "test",
                "--quiet",
                "--no-fail-fast",
                "--package",
                package,
                "--target-dir",
            ])
            .arg(workspace.target())
            // Pretty, since that of --quiet names no test that passed.
            .args(["--tests", "--", "--format", "pretty"])
            .args(&tests);
        passed
            .extend(passed_in(&output(&mut cargo)?, &tests).map(|test| (package.to_owned(), test)));
    }
    Ok(passed)
}

/// Standard output, whatever the exit status; errors of the compiler go where they always go.
fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The wanted tests that ran and never failed, from the lines `test path::name ... ok`.
fn passed_in(output: &str, wanted: &BTreeSet<&str>) -> impl Iterator<Item = String> {
    let mut results: BTreeMap<String, bool> = BTreeMap::new();
    for line in output.lines() {
        let Some((name, result)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.split_once(" ... "))
        else {
            continue;
        };
        let name = name.trim_end_matches(" - should panic");
        let name = name.rsplit("::").next().unwrap_or(name);
        if wanted.contains(name) {
            *results.entry(name.to_owned()).or_insert(true) &= result == "ok";
        }
    }
    results
        .into_iter()
        .filter_map(|(name, ok)| ok.then_some(name))
}

/// The table, and whether every test of a demand passed.
fn table(standards: &Standards, passed: &BTreeSet<(String, String)>) -> (String, bool) {
    let mut text = String::new();
    let (mut done, mut partly, mut undone, mut failed) = (0, 0, 0, 0);
    for demand in &standards.demands {
        let tests: Vec<_> = standards
            .marks
            .iter()
            .filter(|mark| mark.ids.contains(&demand.id))
            .collect();
        let holds = |mark: &Mark| passed.contains(&(mark.package.clone(), mark.test.clone()));
        let (word, count) = if !tests.iter().all(|mark| holds(mark)) {
            ("FAILED", &mut failed)
        } else if demand.undone.is_none() {
            ("passed", &mut done)
        } else if tests.is_empty() {
            ("not done", &mut undone)
        } else {
            ("in part", &mut partly)
        };
        *count += 1;
        text += &format!("\n{word:<8}  {:<20}  {}\n", demand.clause, demand.sentence);
        for mark in tests {
            let fails = if holds(mark) { "" } else { "  FAILED" };
            text += &format!("          {}{fails}\n", mark.place());
        }
        if let Some(why) = &demand.undone {
            text += &format!("          not done: {why}\n");
        }
    }
    text += &format!(
        "\n{} demands: {done} passed, {partly} done in part, {undone} not done, {failed} failed\n",
        standards.demands.len()
    );
    (text, failed == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_and_the_tests_agree() {
        let standards = read(&Workspace::locate()).unwrap();
        assert!(standards.marks.len() > 20, "the marks are read");
    }

    fn demand(id: &str, undone: Option<&str>) -> Demand {
        Demand {
            id: id.into(),
            clause: "RFC 0".into(),
            sentence: "It holds.".into(),
            undone: undone.map(Into::into),
        }
    }

    fn mark(ids: &[&str]) -> Mark {
        Mark {
            ids: ids.iter().map(|&id| id.into()).collect(),
            package: "p".into(),
            file: "f.rs".into(),
            test: "t".into(),
        }
    }

    #[test]
    fn each_disagreement_is_told() {
        let standards = Standards {
            demands: vec![
                demand("bare", None),
                demand("blank", Some(" ")),
                demand("done", None),
                demand("later", Some("why")),
                demand("later", Some("why")),
            ],
            marks: vec![mark(&["done", "gone"])],
        };
        let told = faults(&standards).join("\n");
        for fault in [
            "bare has neither",
            "blank has neither",
            "later stands",
            "\"gone\"",
        ] {
            assert!(told.contains(fault), "{fault} in {told}");
        }
        assert_eq!(told.lines().count(), 4, "{told}");
    }

    #[test]
    fn a_test_that_failed_or_did_not_run_fails_its_demand() {
        let standards = Standards {
            demands: vec![demand("a", None), demand("b", Some("why"))],
            marks: vec![mark(&["a"])],
        };
        let wanted = BTreeSet::from(["t"]);
        for (output, holds) in [
            ("test m::t ... ok\n", true),
            ("test m::t ... FAILED\n", false),
            ("test m::t ... ok\ntest n::t ... FAILED\n", false),
            ("test other ... ok\n", false),
            ("test t ... ignored\n", false),
        ] {
            let passed = passed_in(output, &wanted)
                .map(|test| ("p".into(), test))
                .collect();
            let (text, answer) = table(&standards, &passed);
            assert_eq!(answer, holds, "{output}{text}");
            assert!(text.contains("not done: why"), "{text}");
        }
    }
}
