//! The compilers that can build the eBPF half: those that have the source of `core`.
//!
//! `core` comes in no compiled form for `bpfel-unknown-none`, so it is built along
//! (`-Zbuild-std=core`). rustup's stable toolchain has neither its source nor that switch.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell;

/// The oldest rustc that builds the steering crate, which kernel and host share.
const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

/// Where a compiler comes from. The order is the order of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// rustup's nightly toolchain with its rust-src component.
    Nightly,
    /// The distribution's own rustc with its source package, as Debian's rustc-web.
    Distribution,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nightly => "rustup's nightly with rust-src",
            Self::Distribution => {
                "/usr/bin/rustc with its source (Debian: rustc-web, rust-web-src)"
            }
        })
    }
}

/// A compiler that has the source of `core`.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// Where it comes from.
    pub origin: Origin,
    /// The compiler itself, not rustup's proxy for it.
    pub rustc: PathBuf,
    /// The cargo to run it with.
    pub cargo: PathBuf,
    /// What it says of itself.
    pub version: Version,
}

/// What matters of `rustc -vV`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The release, as `1.96.0` or `1.97.0-nightly`.
    pub release: String,
    /// The major version of its LLVM, which the linker must be able to read.
    pub llvm: u32,
}

/// Why a compiler will not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is not installed.
    Absent(String),
    /// Only the source of `core` is missing.
    NoSource,
    /// It is older than the workspace allows, or says nothing that can be read.
    Unusable(String),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(why) => write!(f, "not installed ({why})"),
            Self::NoSource => write!(f, "installed, but without the source of core"),
            Self::Unusable(why) => f.write_str(why),
        }
    }
}

/// One place that was looked at, and what was found there.
pub type Finding = (Origin, Result<Compiler, Unfit>);

/// Looks in every place, in the order of the search.
pub fn survey() -> [Finding; 2] {
    [
        (Origin::Nightly, nightly()),
        (Origin::Distribution, distribution()),
    ]
}

fn nightly() -> Result<Compiler, Unfit> {
    let mut which = shell::command("rustup");
    which.args(["which", "--toolchain", "nightly", "rustc"]);
    // A question must not turn into an installation, nor its answer into a backtrace.
    which
        .env("RUSTUP_AUTO_INSTALL", "0")
        .env("RUST_BACKTRACE", "0");
    let rustc = PathBuf::from(shell::ask(&mut which).map_err(Unfit::Absent)?.trim());
    // rustup's layout: bin/rustc and bin/cargo of one toolchain, lib/rustlib beside bin.
    let cargo = rustc.with_file_name("cargo");
    let sysroot = rustc.ancestors().nth(2).unwrap_or(Path::new("/"));
    inspect(Origin::Nightly, &rustc, cargo, sysroot)
}

fn distribution() -> Result<Compiler, Unfit> {
    let rustc = Path::new("/usr/bin/rustc");
    if !rustc.is_file() {
        return Err(Unfit::Absent("there is no /usr/bin/rustc".into()));
    }
    let cargo = env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from);
    inspect(Origin::Distribution, rustc, cargo, Path::new("/usr"))
}

fn inspect(
    origin: Origin,
    rustc: &Path,
    cargo: PathBuf,
    sysroot: &Path,
) -> Result<Compiler, Unfit> {
    let said = shell::ask(Command::new(rustc).arg("-vV")).map_err(Unfit::Unusable)?;
    let source = sysroot.join("lib/rustlib/src/rust/library/Cargo.lock");
    let version = judge(&said, source.is_file())?;
    Ok(Compiler {
        origin,
        rustc: rustc.to_path_buf(),
        cargo,
        version,
    })
}

/// Decides by what a compiler says of itself and whether the source of `core` lies with it.
fn judge(verbose_version: &str, has_source: bool) -> Result<Version, Unfit> {
    let field = |name: &str| {
        verbose_version
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let unreadable = || {
        let said = verbose_version.lines().next().unwrap_or_default();
        Unfit::Unusable(format!(
            "`rustc -vV` names no release and LLVM version: {said:?}"
        ))
    };
    let release = field("release").ok_or_else(unreadable)?;
    let llvm = field("LLVM version")
        .and_then(|version| version.split('.').next()?.parse().ok())
        .ok_or_else(unreadable)?;
    if minor(release) < minor(OLDEST) {
        return Err(Unfit::Unusable(format!(
            "it is {release}; {OLDEST} or newer is needed"
        )));
    }
    if !has_source {
        return Err(Unfit::NoSource);
    }
    Ok(Version {
        release: release.to_owned(),
        llvm,
    })
}

/// `1.96.0-nightly` as (1, 96); what cannot be read counts as oldest.
fn minor(release: &str) -> (u32, u32) {
    let mut numbers = release.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(release: &str, llvm: &str) -> String {
        format!(
            "rustc {release} (abc 2026-05-25)\nbinary: rustc\nrelease: {release}\nLLVM version: {llvm}\n"
        )
    }

    #[test]
    fn a_recent_compiler_with_source_will_do() {
        let version = judge(&said("1.97.0-nightly", "22.1.4"), true).unwrap();
        assert_eq!(version.release, "1.97.0-nightly");
        assert_eq!(version.llvm, 22);
        assert!(judge(&said(&format!("{OLDEST}.0"), "22.1.2"), true).is_ok());
    }

    #[test]
    fn without_source_it_will_not() {
        assert_eq!(
            judge(&said("1.97.0-nightly", "22.1.4"), false),
            Err(Unfit::NoSource)
        );
    }

    #[test]
    fn an_old_compiler_is_refused_even_with_source() {
        let error = judge(&said("1.63.0", "13.0.1"), true).unwrap_err();
        assert!(error.to_string().contains("1.63.0"), "{error}");
        assert!(error.to_string().contains(OLDEST), "{error}");
        assert!(matches!(
            judge(&said("1.9.0", "13.0.1"), true),
            Err(Unfit::Unusable(_))
        ));
    }

    #[test]
    fn an_answer_that_names_no_version_is_refused() {
        for text in ["", "rustc 1.96.0", "release: 1.96.0\nLLVM version: new\n"] {
            assert!(
                matches!(judge(text, true), Err(Unfit::Unusable(_))),
                "{text:?}"
            );
        }
    }
}
