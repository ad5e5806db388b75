//! Starts other programs.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use causeway_lab::output::print_line;

/// Finds a program in `PATH`, `/usr/sbin` or `/sbin`. `su` without a login leaves the last two out of `PATH`.
pub fn which(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// A command without the environment variables that cargo sets for xtask.
///
/// These variables describe the package xtask and the libraries of its toolchain. They would mislead a second cargo,
/// the rustc of another toolchain, or the causeway binary.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if is_set_for_xtask(&name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
    if let Some(path) = env::var_os("LD_LIBRARY_PATH") {
        match without(&path, &cargo_folders()) {
            Some(rest) => command.env("LD_LIBRARY_PATH", rest),
            None => command.env_remove("LD_LIBRARY_PATH"),
        };
    }
    command
}

/// The cargo that started xtask.
pub fn cargo() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The host's target triple.
pub fn host() -> Result<String> {
    let output = capture(command("rustc").arg("-vV")).map_err(anyhow::Error::msg)?;
    output
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .context("`rustc -vV` printed no host")
}

/// Prints a command, runs it and fails if it fails.
pub fn run(command: &mut Command) -> Result<()> {
    print_line(format_args!("$ {}", display(command)))?;
    succeed(command)
}

/// Runs a command and fails if it fails.
pub fn succeed(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    success(command, status)
}

/// Fails if a command that ended has failed.
pub fn success(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{}` failed: {status}", display(command));
    }
    Ok(())
}

/// Runs a command and returns its standard output, or one line with the reason of its failure.
pub fn capture(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(error_line(&stderr).map_or_else(|| output.status.to_string(), str::to_owned))
}

/// The first line that begins with `error`, else the last line.
fn error_line(stderr: &str) -> Option<&str> {
    let lines = || {
        stderr
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
    };
    lines()
        .find(|line| {
            line.get(..5)
                .is_some_and(|start| start.eq_ignore_ascii_case("error"))
        })
        .or_else(|| lines().next_back())
}

pub fn display(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

fn is_set_for_xtask(variable: &str) -> bool {
    const EXACT: [&str; 9] = [
        "CARGO",
        "CARGO_BIN_NAME",
        "CARGO_CRATE_NAME",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_LINKS",
        "CARGO_MANIFEST_PATH",
        "CARGO_PRIMARY_PACKAGE",
        "CARGO_TARGET_DIR",
        "CARGO_TARGET_TMPDIR",
    ];
    EXACT.contains(&variable) || variable.starts_with("CARGO_PKG_")
}

/// The directories that cargo adds to `LD_LIBRARY_PATH` are in these: its build output and its toolchain.
fn cargo_folders() -> Vec<PathBuf> {
    let output = env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.to_path_buf()));
    let toolchain = env::var_os("CARGO")
        .map(PathBuf::from)
        .and_then(|cargo| Some(cargo.parent()?.parent()?.to_path_buf()));
    output.into_iter().chain(toolchain).collect()
}

fn without(path: &OsStr, folders: &[impl AsRef<Path>]) -> Option<OsString> {
    let rest: Vec<_> = env::split_paths(path)
        .filter(|entry| !folders.iter().any(|folder| entry.starts_with(folder)))
        .collect();
    if rest.is_empty() {
        return None;
    }
    env::join_paths(rest).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_variables_of_this_package_are_hidden_and_settings_are_kept() {
        for hidden in [
            "CARGO",
            "CARGO_MANIFEST_DIR",
            "CARGO_PKG_VERSION",
            "CARGO_TARGET_DIR",
        ] {
            assert!(is_set_for_xtask(hidden), "{hidden}");
        }
        for kept in [
            "CARGO_HOME",
            "CARGO_BUILD_JOBS",
            "CARGO_NET_OFFLINE",
            "CARGO_TERM_COLOR",
        ] {
            assert!(!is_set_for_xtask(kept), "{kept}");
        }
    }

    #[test]
    fn library_path_loses_only_the_entries_of_cargo() {
        let folders = ["/work/target/debug", "/home/a/.rustup/toolchains/stable"];
        let path =
            OsStr::new("/work/target/debug/deps:/opt/lib:/home/a/.rustup/toolchains/stable/lib");
        assert_eq!(without(path, &folders), Some("/opt/lib".into()));
        assert_eq!(without(OsStr::new("/work/target/debug"), &folders), None);
    }

    #[test]
    fn the_error_line_is_not_the_advice_after_it() {
        let rustup = "error: toolchain 'nightly' is not installed\nhelp: run `rustup toolchain install nightly`\n";
        assert_eq!(
            error_line(rustup),
            Some("error: toolchain 'nightly' is not installed")
        );
        assert_eq!(error_line("one\ntwo\n\n"), Some("two"));
        assert_eq!(error_line("\n"), None);
    }
}
