//! Search for a compiler that can build the XDP program.
//!
//! No toolchain ships a compiled `core` for `bpfel-unknown-none`. Cargo builds it with the program
//! (`-Zbuild-std=core`), which needs the source of `core` and a compiler that accepts the flag.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell;

/// The oldest rustc that builds the steering crate, which the XDP program and the host share.
const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

/// The source of a compiler, in search order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// rustup's nightly toolchain with its rust-src component.
    Nightly,
    /// The distribution's rustc with its source package, for example Debian's rustc-web.
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
    pub origin: Origin,
    /// The compiler itself, not the proxy of rustup.
    pub rustc: PathBuf,
    pub cargo: PathBuf,
    pub version: Version,
}

/// The relevant output of `rustc -vV`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// For example `1.96.0` or `1.97.0-nightly`.
    pub release: String,
    /// The major version of LLVM. The linker must be able to read its bitcode.
    pub llvm: u32,
}

/// The reason why a compiler cannot build the XDP program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    Absent(String),
    NoSource,
    /// It is too old, or its version output cannot be parsed.
    Unusable(String),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(why) => write!(f, "not installed ({why})"),
            Self::NoSource => write!(f, "installed without the source of core"),
            Self::Unusable(why) => f.write_str(why),
        }
    }
}

/// A place of the search and its result.
pub type Finding = (Origin, Result<Compiler, Unfit>);

/// Examines all places, in search order.
pub fn survey() -> [Finding; 2] {
    [
        (Origin::Nightly, nightly()),
        (Origin::Distribution, distribution()),
    ]
}

fn nightly() -> Result<Compiler, Unfit> {
    let mut which = shell::command("rustup");
    which.args(["which", "--toolchain", "nightly", "rustc"]);
    // The query must neither install a toolchain nor print a backtrace.
    which
        .env("RUSTUP_AUTO_INSTALL", "0")
        .env("RUST_BACKTRACE", "0");
    let rustc = PathBuf::from(shell::capture(&mut which).map_err(Unfit::Absent)?.trim());
    // rustup's layout: bin/rustc, bin/cargo, lib/rustlib.
    let cargo = rustc.with_file_name("cargo");
    let sysroot = rustc.ancestors().nth(2).unwrap_or(Path::new("/"));
    inspect(Origin::Nightly, &rustc, cargo, sysroot)
}

fn distribution() -> Result<Compiler, Unfit> {
    let rustc = Path::new("/usr/bin/rustc");
    if !rustc.is_file() {
        return Err(Unfit::Absent("/usr/bin/rustc does not exist".into()));
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
    let output = shell::capture(Command::new(rustc).arg("-vV")).map_err(Unfit::Unusable)?;
    let source = sysroot.join("lib/rustlib/src/rust/library/Cargo.lock");
    let version = check(&output, source.is_file())?;
    Ok(Compiler {
        origin,
        rustc: rustc.to_path_buf(),
        cargo,
        version,
    })
}

/// Checks the output of `rustc -vV` and the presence of the source of `core`.
fn check(verbose_version: &str, has_source: bool) -> Result<Version, Unfit> {
    let field = |name: &str| {
        verbose_version
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let unreadable = || {
        let first = verbose_version.lines().next().unwrap_or_default();
        Unfit::Unusable(format!(
            "`rustc -vV` printed no release or LLVM version: {first:?}"
        ))
    };
    let release = field("release").ok_or_else(unreadable)?;
    let llvm = field("LLVM version")
        .and_then(|version| version.split('.').next()?.parse().ok())
        .ok_or_else(unreadable)?;
    if minor(release) < minor(OLDEST) {
        return Err(Unfit::Unusable(format!(
            "rustc {release} is too old; expected {OLDEST} or newer"
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

/// Major and minor version: (1, 96) for `1.96.0-nightly`. An unreadable part counts as 0.
fn minor(release: &str) -> (u32, u32) {
    let mut numbers = release.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(release: &str, llvm: &str) -> String {
        format!(
            "rustc {release} (abc 2026-05-25)\nbinary: rustc\nrelease: {release}\nLLVM version: {llvm}\n"
        )
    }

    #[test]
    fn a_recent_compiler_with_source_is_accepted() {
        let version = check(&output("1.97.0-nightly", "22.1.4"), true).unwrap();
        assert_eq!(version.release, "1.97.0-nightly");
        assert_eq!(version.llvm, 22);
        assert!(check(&output(&format!("{OLDEST}.0"), "22.1.2"), true).is_ok());
    }

    #[test]
    fn a_compiler_without_source_is_refused() {
        assert_eq!(
            check(&output("1.97.0-nightly", "22.1.4"), false),
            Err(Unfit::NoSource)
        );
    }

    #[test]
    fn an_old_compiler_is_refused_even_with_source() {
        let error = check(&output("1.63.0", "13.0.1"), true).unwrap_err();
        assert!(error.to_string().contains("1.63.0"), "{error}");
        assert!(error.to_string().contains(OLDEST), "{error}");
        assert!(matches!(
            check(&output("1.9.0", "13.0.1"), true),
            Err(Unfit::Unusable(_))
        ));
    }

    #[test]
    fn output_without_a_version_is_refused() {
        for text in ["", "rustc 1.96.0", "release: 1.96.0\nLLVM version: new\n"] {
            assert!(
                matches!(check(text, true), Err(Unfit::Unusable(_))),
                "{text:?}"
            );
        }
    }
}
