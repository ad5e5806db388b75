//! `cargo xtask verify standards`: runs the tests of the standards' requirements and prints each requirement with its
//! tests.
//!
//! docs/standards.toml lists the requirements. A test names those that it shows by a comment `/// Standard: ` with ids.

mod marks;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use causeway_lab::output::{print, print_line};
use serde::Deserialize;

use crate::build::Built;
use crate::shell;
use crate::workspace::Workspace;
use marks::Mark;

/// The file docs/standards.toml.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    requirement: Vec<Requirement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    id: String,
    clause: String,
    sentence: String,
    /// The reason why it is not done, or the part that is not done. With tests, the rest is done.
    undone: Option<String>,
}

/// The requirements and all tests that name one.
struct Standards {
    requirements: Vec<Requirement>,
    marks: Vec<Mark>,
}

/// Runs every test of a requirement and prints each requirement with its tests. Returns whether all tests passed.
pub fn verify(workspace: &Workspace, built: &Built) -> Result<bool> {
    let standards = read(workspace)?;
    let passed = run(workspace, built, &standards.marks)?;
    let (table, holds) = table(&standards, &passed);
    print(&table)?;
    Ok(holds)
}

/// Reads the list and the marks. Fails if they disagree.
fn read(workspace: &Workspace) -> Result<Standards> {
    let path = workspace.root().join("docs/standards.toml");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let List {
        requirement: requirements,
    } = toml::from_str(&text).with_context(|| path.display().to_string())?;
    let standards = Standards {
        requirements,
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
    for Requirement { id, undone, .. } in &standards.requirements {
        if !known.insert(id) {
            faults.push(format!("  {id} is in the list twice"));
        }
        let tested = standards.marks.iter().any(|mark| mark.ids.contains(id));
        if !tested && undone.as_ref().is_none_or(|why| why.trim().is_empty()) {
            faults.push(format!(
                "  {id} has neither a test nor a reason in `undone`"
            ));
        }
    }
    for mark in &standards.marks {
        for id in mark.ids.iter().filter(|id| !known.contains(id)) {
            faults.push(format!(
                "  {} names the unknown requirement {id:?}",
                mark.place()
            ));
        }
    }
    faults
}

/// The tests that passed, as (package, function). Runs cargo once for each package.
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
        print_line(format_args!("running {} tests of {package}", tests.len()))?;
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
            // The format of `--quiet` does not name the tests that passed.
            .args(["--tests", "--", "--format", "pretty"])
            .args(&tests);
        passed
            .extend(passed_in(&output(&mut cargo)?, &tests).map(|test| (package.to_owned(), test)));
    }
    Ok(passed)
}

/// Runs a command and returns its standard output, also after a failure. Standard error is not captured.
fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The wanted tests that passed in all their runs, from the lines `test path::name ... ok`.
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

/// The table, and whether all tests passed.
fn table(standards: &Standards, passed: &BTreeSet<(String, String)>) -> (String, bool) {
    let mut text = String::new();
    let (mut done, mut partly, mut undone, mut failed) = (0, 0, 0, 0);
    for requirement in &standards.requirements {
        let tests: Vec<_> = standards
            .marks
            .iter()
            .filter(|mark| mark.ids.contains(&requirement.id))
            .collect();
        let holds = |mark: &Mark| passed.contains(&(mark.package.clone(), mark.test.clone()));
        let (verdict, count) = if !tests.iter().all(|mark| holds(mark)) {
            ("FAILED", &mut failed)
        } else if requirement.undone.is_none() {
            ("passed", &mut done)
        } else if tests.is_empty() {
            ("not done", &mut undone)
        } else {
            ("in part", &mut partly)
        };
        *count += 1;
        text += &format!(
            "\n{verdict:<8}  {:<20}  {}\n",
            requirement.clause, requirement.sentence
        );
        for mark in tests {
            let fails = if holds(mark) { "" } else { "  FAILED" };
            text += &format!("          {}{fails}\n", mark.place());
        }
        if let Some(why) = &requirement.undone {
            text += &format!("          not done: {why}\n");
        }
    }
    text += &format!(
        "\n{} requirements: {done} passed, {partly} done in part, {undone} not done, {failed} failed\n",
        standards.requirements.len()
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

    fn requirement(id: &str, undone: Option<&str>) -> Requirement {
        Requirement {
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
    fn each_disagreement_is_reported() {
        let standards = Standards {
            requirements: vec![
                requirement("bare", None),
                requirement("blank", Some(" ")),
                requirement("done", None),
                requirement("later", Some("why")),
                requirement("later", Some("why")),
            ],
            marks: vec![mark(&["done", "gone"])],
        };
        let text = faults(&standards).join("\n");
        for fault in [
            "bare has neither",
            "blank has neither",
            "later is in",
            "\"gone\"",
        ] {
            assert!(text.contains(fault), "{fault} in {text}");
        }
        assert_eq!(text.lines().count(), 4, "{text}");
    }

    #[test]
    fn a_test_that_failed_or_did_not_run_fails_its_requirement() {
        let standards = Standards {
            requirements: vec![requirement("a", None), requirement("b", Some("why"))],
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
