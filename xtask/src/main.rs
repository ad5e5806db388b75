//! Everything a person types: `cargo xtask <command>`.

mod aarch64;
mod apt;
mod build;
mod compiler;
mod fuzz;
mod linker;
mod memory;
mod needs;
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
    /// Gets what this machine lacks to build and run Causeway; says what and why first
    Setup {
        /// Only tell what is there and what is missing; exit status 1 if anything is
        #[arg(long)]
        check: bool,
    },
    /// Builds the XDP program (target/causeway-xdp.o) and the binary (target/release/causeway)
    Build,
    /// Carries traffic through two clusters in the lab and reports; needs root
    ///
    /// Sets up and builds first. With `-- ARGUMENTS` it runs the causeway binary itself
    /// instead, as on a real instance.
    Run {
        #[command(flatten)]
        lab: run::Args,
        /// What to hand to causeway
        #[arg(
            last = true,
            conflicts_with = "Args",
            value_name = "CAUSEWAY ARGUMENTS"
        )]
        causeway: Vec<OsString>,
    },
    /// Runs every check and every test, the privileged ones too; needs root
    Test,
    /// Fuzzes what reads octets from outside, guided by coverage, for as long as is said
    Fuzz(fuzz::Args),
    /// Measures Causeway; `cargo xtask perf help` lists what
    #[command(disable_help_flag = true)]
    Perf {
        /// What to hand to the harness
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "ARGUMENTS"
        )]
        arguments: Vec<OsString>,
    },
    /// Examines one promise and prints what each of its points rests on; needs root
    Verify {
        #[command(subcommand)]
        what: Promise,
    },
}

#[derive(Subcommand)]
enum Promise {
    /// What the standards demand of an ESP data path (docs/standards.toml)
    Standards,
    /// What the kernel's verifier counts in the XDP program, against its limits
    Program {
        /// Also write the report to this file, as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// That all of it compiles for aarch64: links the binary, starts it and runs the tests of the data
    /// path under qemu. Installs a cross compiler and qemu; says so first
    Aarch64,
    /// That no access to memory is out of bounds: AddressSanitizer and valgrind over the rooms beside
    /// `unsafe` and foreign code
    Memory,
}

fn main() -> ExitCode {
    let workspace = Workspace::locate();
    match dispatch(Xtask::parse().command, &workspace) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Carries out one command. Gives false where it did its work and the answer is no.
fn dispatch(task: Task, workspace: &Workspace) -> Result<bool> {
    match task {
        Task::Setup { check: true } => setup::check(workspace),
        Task::Setup { check: false } => {
            setup::ensure(workspace)?;
            println!("everything is set up");
            Ok(true)
        }
        Task::Build => build::both(workspace, &toolchain::require()?).map(|_| true),
        Task::Run { lab, causeway } => {
            let built = build::both(workspace, &setup::ensure(workspace)?)?;
            if causeway.is_empty() {
                return run::run(&lab, &built.causeway, &built.xdp_object);
            }
            let error = shell::command(&built.causeway).args(causeway).exec();
            Err(error).with_context(|| format!("cannot start {}", built.causeway.display()))
        }
        Task::Fuzz(args) => fuzz::run(&args, workspace).map(|()| true),
        Task::Perf { arguments } => {
            let built = build::both(workspace, &setup::ensure(workspace)?)?;
            perf::run(workspace, &built, &arguments).map(|()| true)
        }
        Task::Verify {
            what: Promise::Standards,
        } => {
            let built = build::both(workspace, &setup::ensure(workspace)?)?;
            standards::verify(workspace, &built)
        }
        Task::Verify {
            what: Promise::Memory,
        } => {
            let built = build::both(workspace, &setup::ensure(workspace)?)?;
            memory::verify(workspace, &built).map(|()| true)
        }
        Task::Verify {
            what: Promise::Aarch64,
        } => {
            setup::ensure(workspace)?;
            aarch64::verify(workspace).map(|()| true)
        }
        Task::Verify {
            what: Promise::Program { json },
        } => {
            let built = build::both(workspace, &setup::ensure(workspace)?)?;
            program::verify(workspace, &built, json.as_deref())
        }
        Task::Test => {
            let built = build::both(workspace, &setup::ensure(workspace)?)?;
            Ok(test::everything(workspace, &built))
        }
    }
}
