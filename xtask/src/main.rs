//! The command line of `cargo xtask`.

mod aarch64;
mod apt;
mod build;
mod compiler;
mod dependencies;
mod fuzz;
mod house;
mod linker;
mod memory;
mod perf;
mod program;
mod report;
mod run;
mod setup;
mod shell;
mod standards;
mod test;
mod toolchain;
mod unsafety;
mod venv;
mod workspace;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use causeway_lab::output::{exit_code, print_line};
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Sets up, builds, runs and tests Causeway.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Xtask {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Installs missing build and test dependencies, after a list of them with reasons
    Setup {
        /// Only list present and missing dependencies; exit status 1 if one is missing
        #[arg(long)]
        check: bool,
    },
    /// Builds the XDP program (target/causeway-xdp.o) and the binary (target/release/causeway)
    Build,
    /// Runs two clusters in the lab, sends traffic through them and prints a report; needs root
    ///
    /// Runs setup and build first. With `-- ARGUMENTS` it starts the causeway binary with these
    /// arguments instead of the lab.
    Run {
        #[command(flatten)]
        lab: run::Args,
        /// Arguments for the causeway binary
        #[arg(
            last = true,
            conflicts_with = "Args",
            value_name = "CAUSEWAY ARGUMENTS"
        )]
        causeway: Vec<OsString>,
    },
    /// Runs every check and every test, including the privileged ones; needs root
    Test,
    /// Fuzzes the parsers of outside input with libFuzzer, guided by coverage
    Fuzz(fuzz::Args),
    /// Runs a performance measurement; `cargo xtask perf help` lists them
    #[command(disable_help_flag = true)]
    Perf {
        /// Arguments for the performance harness
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "ARGUMENTS"
        )]
        arguments: Vec<OsString>,
    },
    /// Verifies one property of the code and prints the evidence
    Verify {
        #[command(subcommand)]
        property: Property,
    },
}

#[derive(Subcommand)]
enum Property {
    /// The structure: crates, their lines, the arrows between them, import circles between files
    ///
    /// Fails on an arrow that is not in the table of docs/architecture.md, and on an import circle
    /// without a reasoned exception.
    House {
        /// Check this checkout instead of the one that xtask was built from
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
    },
    /// The requirements of the standards on an ESP data path (docs/standards.toml); needs root
    Standards,
    /// The kernel verifier's statistics for the XDP program, compared with its limits; needs root
    Program {
        /// Also write the report to this file, as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// The aarch64 build: compiles everything, starts the binary and runs the tests of the data path
    ///
    /// The binary and the tests run under qemu. A missing cross compiler or qemu is installed, after
    /// a list of the packages.
    Aarch64,
    /// Memory safety: AddressSanitizer and valgrind over the crates with `unsafe` or foreign code;
    /// needs root
    Memory,
}

fn main() -> ExitCode {
    let workspace = Workspace::locate();
    exit_code(dispatch(Xtask::parse().command, &workspace))
}

/// Runs one command. Returns false if a check failed or a dependency is missing.
fn dispatch(task: Task, workspace: &Workspace) -> Result<bool> {
    match task {
        Task::Setup { check: true } => setup::check(workspace),
        Task::Setup { check: false } => {
            setup::ensure(workspace)?;
            print_line("all dependencies are present")?;
            Ok(true)
        }
        Task::Build => build::all(workspace, &toolchain::require()?).map(|_| true),
        Task::Run { lab, causeway } => {
            let built = build::all(workspace, &setup::ensure(workspace)?)?;
            if causeway.is_empty() {
                return run::run(&lab, &built.causeway, &built.xdp_object);
            }
            let error = shell::command(&built.causeway).args(causeway).exec();
            Err(error).with_context(|| format!("cannot start {}", built.causeway.display()))
        }
        Task::Fuzz(args) => fuzz::run(&args, workspace).map(|()| true),
        Task::Perf { arguments } => {
            let built = build::all(workspace, &setup::ensure(workspace)?)?;
            perf::run(workspace, &built, &arguments).map(|()| true)
        }
        Task::Verify {
            property: Property::House { root },
        } => house::verify(root.as_deref().unwrap_or(workspace.root())),
        Task::Verify {
            property: Property::Standards,
        } => {
            let built = build::all(workspace, &setup::ensure(workspace)?)?;
            standards::verify(workspace, &built)
        }
        Task::Verify {
            property: Property::Memory,
        } => {
            let built = build::all(workspace, &setup::ensure(workspace)?)?;
            memory::verify(workspace, &built).map(|()| true)
        }
        Task::Verify {
            property: Property::Aarch64,
        } => {
            setup::ensure(workspace)?;
            aarch64::verify(workspace).map(|()| true)
        }
        Task::Verify {
            property: Property::Program { json },
        } => {
            let built = build::all(workspace, &setup::ensure(workspace)?)?;
            program::verify(workspace, &built, json.as_deref())
        }
        Task::Test => {
            let built = build::all(workspace, &setup::ensure(workspace)?)?;
            test::everything(workspace, &built)
        }
    }
}
