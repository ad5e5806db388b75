//! `cargo xtask setup`: what the machine has to have, whether it has it, and getting it.

use std::fmt::Write;

use anyhow::{Result, bail};

use crate::apt::{self, Apt};
use crate::linker;
use crate::needs::NEEDS;
use crate::toolchain::{self, Toolchain};
use crate::venv;
use crate::workspace::Workspace;

/// One line of the survey.
struct Item {
    name: &'static str,
    why: &'static str,
    state: State,
}

enum State {
    /// With where or what it is, if that is worth a word.
    Present(String),
    /// With what would be done.
    Missing(String),
}

/// What was found on this machine.
struct Survey {
    items: Vec<Item>,
    packages: Vec<&'static str>,
    toolchain: Option<Toolchain>,
    venv: bool,
}

impl Survey {
    /// Looks, and changes nothing. Takes a fraction of a second: every command starts with it.
    fn take(workspace: &Workspace) -> Result<Self> {
        let mut items = Vec::new();
        let mut packages = Vec::new();
        for need in &NEEDS {
            let state = if need.is_met() {
                State::Present(String::new())
            } else {
                packages.push(need.package);
                State::Missing(apt::by_hand(&[need.package]))
            };
            items.push(Item {
                name: need.package,
                why: need.why,
                state,
            });
        }

        let search = toolchain::search();
        let usable = search
            .compilers
            .iter()
            .find_map(|(_, found)| found.as_ref().ok());
        items.push(Item {
            name: "eBPF compiler",
            why: "builds the XDP program and, along with it, core for BPF",
            state: match (&search.outcome, usable) {
                (Ok(Toolchain { compiler, .. }), _) | (Err(_), Some(compiler)) => {
                    State::Present(format!(
                        "{} {}, LLVM {}",
                        compiler.rustc.display(),
                        compiler.version.release,
                        compiler.version.llvm
                    ))
                }
                (Err(_), None) => {
                    let ways = toolchain::ways(&search.compilers, Apt::open().is_ok());
                    let commands: Vec<_> = ways.iter().map(|way| way.command()).collect();
                    State::Missing(commands.join(", or if that fails "))
                }
            },
        });
        items.push(Item {
            name: "bpf-linker",
            why: "links the XDP program",
            state: match (&search.outcome, usable) {
                (Ok(toolchain), _) => State::Present(toolchain.linker.display().to_string()),
                (Err(_), Some(compiler)) => State::Missing(linker::remedy(compiler.version.llvm)),
                (Err(_), None) => State::Missing("follows the eBPF compiler".into()),
            },
        });

        let venv = venv::is_ready(workspace)?;
        items.push(Item {
            name: "Python packages",
            why: "scapy, against which ESP is checked",
            state: if venv {
                State::Present(workspace.venv().display().to_string())
            } else {
                State::Missing(format!(
                    "python3 -m venv {} and pip install -r {}",
                    workspace.venv().display(),
                    workspace.requirements().display()
                ))
            },
        });

        Ok(Self {
            items,
            packages,
            toolchain: search.outcome.ok(),
            venv,
        })
    }

    fn missing(&self) -> impl Iterator<Item = &Item> {
        self.items
            .iter()
            .filter(|item| matches!(item.state, State::Missing(_)))
    }
}

/// Tells what is there and what is missing. Gives whether nothing is.
pub fn check(workspace: &Workspace) -> Result<bool> {
    let survey = Survey::take(workspace)?;
    print!("{}", table(&survey.items));
    let missing = survey.missing().count();
    if missing > 0 {
        println!("\n{missing} missing; `cargo xtask setup` gets what is missing");
    }
    Ok(missing == 0)
}

/// Gets what is missing, having said what and why, and gives the toolchain of the eBPF half.
pub fn ensure(workspace: &Workspace) -> Result<Toolchain> {
    let survey = Survey::take(workspace)?;
    if survey.missing().next().is_none()
        && let Some(toolchain) = survey.toolchain
    {
        return Ok(toolchain);
    }

    println!("These are missing and will be set up now:\n");
    print!("{}", table(survey.missing()));
    println!();
    let mut apt = Apt::open();
    if !survey.packages.is_empty() {
        match &mut apt {
            Ok(apt) => apt.install(&survey.packages)?,
            Err(reason) => bail!(
                "{reason:#}. What is missing, by its Debian names:\n  {}",
                apt::by_hand(&survey.packages)
            ),
        }
    }
    let toolchain = match survey.toolchain {
        Some(toolchain) => toolchain,
        None => toolchain::make(&mut apt)?,
    };
    if !survey.venv {
        venv::make(workspace)?;
    }

    let after = Survey::take(workspace)?;
    if after.missing().next().is_some() {
        bail!("still missing after setup:\n\n{}", table(after.missing()));
    }
    Ok(toolchain)
}

fn table<'a>(items: impl IntoIterator<Item = &'a Item>) -> String {
    let mut text = String::new();
    for Item { name, why, state } in items {
        let _ = match state {
            State::Present(what) if what.is_empty() => {
                writeln!(text, "present  {name:<16} {why}")
            }
            State::Present(what) => writeln!(text, "present  {name:<16} {why}: {what}"),
            State::Missing(remedy) => {
                writeln!(text, "missing  {name:<16} {why}\n{:26}-> {remedy}", "")
            }
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_why_and_what_would_be_done() {
        let items = [
            Item {
                name: "make",
                why: "builds libxdp",
                state: State::Present(String::new()),
            },
            Item {
                name: "m4",
                why: "compiles programs",
                state: State::Missing("apt-get install m4".into()),
            },
        ];
        let text = table(&items);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("present  make") && lines[0].ends_with("builds libxdp"));
        assert!(lines[1].starts_with("missing  m4") && lines[1].ends_with("compiles programs"));
        assert!(lines[2].ends_with("-> apt-get install m4"));
    }
}
