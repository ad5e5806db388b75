//! `cargo xtask setup`: lists the dependencies of build and tests, and installs the missing ones.

use std::fmt::Write;

use anyhow::{Result, bail};
use causeway_lab::output::{print, print_line};

use crate::apt::{self, Apt};
use crate::dependencies::DEPENDENCIES;
use crate::linker;
use crate::toolchain::{self, Toolchain};
use crate::venv;
use crate::workspace::Workspace;

/// A dependency as the table shows it.
struct Item {
    name: &'static str,
    why: &'static str,
    state: State,
}

enum State {
    /// With its path or version, if known.
    Present(String),
    /// With the command that installs it.
    Missing(String),
}

/// The dependencies of this machine.
struct Survey {
    items: Vec<Item>,
    packages: Vec<&'static str>,
    toolchain: Option<Toolchain>,
    venv: bool,
}

impl Survey {
    /// Checks all dependencies without changing anything. Most commands start with this; it takes a fraction of a second.
    fn take(workspace: &Workspace) -> Result<Self> {
        let mut items = Vec::new();
        let mut packages = Vec::new();
        for dependency in &DEPENDENCIES {
            let state = if dependency.is_present() {
                State::Present(String::new())
            } else {
                packages.push(dependency.package);
                State::Missing(apt::install_command(&[dependency.package]))
            };
            items.push(Item {
                name: dependency.package,
                why: dependency.why,
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
            why: "builds the XDP program, and core for BPF",
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
                    let methods =
                        toolchain::install_methods(&search.compilers, Apt::open().is_ok());
                    let commands: Vec<_> = methods.iter().map(|method| method.command()).collect();
                    State::Missing(commands.join(", or if that fails: "))
                }
            },
        });
        items.push(Item {
            name: "bpf-linker",
            why: "links the XDP program",
            state: match (&search.outcome, usable) {
                (Ok(toolchain), _) => State::Present(toolchain.linker.display().to_string()),
                (Err(_), Some(compiler)) => {
                    State::Missing(linker::build_commands(compiler.version.llvm))
                }
                (Err(_), None) => State::Missing("needs the eBPF compiler first".into()),
            },
        });

        let venv = venv::is_ready(workspace)?;
        items.push(Item {
            name: "Python packages",
            why: "scapy, an independent implementation for the tests of ESP",
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

/// Prints all dependencies. Returns whether none is missing.
pub fn check(workspace: &Workspace) -> Result<bool> {
    let survey = Survey::take(workspace)?;
    print(table(&survey.items))?;
    let missing = survey.missing().count();
    if missing > 0 {
        print_line(format_args!(
            "\n{missing} missing; run `cargo xtask setup` to install"
        ))?;
    }
    Ok(missing == 0)
}

/// Installs the missing dependencies, after a list of them, and returns the toolchain for the XDP program.
pub fn ensure(workspace: &Workspace) -> Result<Toolchain> {
    let survey = Survey::take(workspace)?;
    if survey.missing().next().is_none()
        && let Some(toolchain) = survey.toolchain
    {
        return Ok(toolchain);
    }

    print_line("Missing dependencies, which will be installed now:\n")?;
    print(table(survey.missing()))?;
    print_line("")?;
    let mut apt = Apt::open();
    if !survey.packages.is_empty() {
        match &mut apt {
            Ok(apt) => apt.install(&survey.packages)?,
            Err(reason) => bail!(
                "{reason:#}. On Debian, install the missing packages with:\n  {}",
                apt::install_command(&survey.packages)
            ),
        }
    }
    let toolchain = match survey.toolchain {
        Some(toolchain) => toolchain,
        None => toolchain::install(&mut apt)?,
    };
    if !survey.venv {
        venv::create(workspace)?;
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
            State::Present(detail) if detail.is_empty() => {
                writeln!(text, "present  {name:<16} {why}")
            }
            State::Present(detail) => writeln!(text, "present  {name:<16} {why}: {detail}"),
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
    fn the_table_has_reasons_and_install_commands() {
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
