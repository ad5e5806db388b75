//! The toolchain of the eBPF half: a compiler and a linker that were seen to work together.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Result, anyhow};

use crate::apt::{self, Apt};
use crate::compiler::{self, Compiler, Finding, Origin, Unfit};
use crate::linker;
use crate::shell;

const COMPILER_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// A compiler and its linker.
pub struct Toolchain {
    /// The compiler.
    pub compiler: Compiler,
    /// bpf-linker.
    pub linker: PathBuf,
}

/// What the search found.
pub struct Search {
    /// The compilers, in the order of the search.
    pub compilers: [Finding; 2],
    /// The first pair that works, else why no linker does, per compiler that would.
    pub outcome: Result<Toolchain, Vec<String>>,
}

/// Looks for a toolchain that works, and changes nothing.
pub fn search() -> Search {
    let compilers = compiler::survey();
    let outcome = pair(&compilers);
    Search { compilers, outcome }
}

fn pair(compilers: &[Finding]) -> Result<Toolchain, Vec<String>> {
    let mut reasons = Vec::new();
    for compiler in usable(compilers) {
        match linker::find(compiler) {
            Ok(linker) => {
                let compiler = compiler.clone();
                return Ok(Toolchain { compiler, linker });
            }
            Err(reason) => reasons.push(reason),
        }
    }
    Err(reasons)
}

/// The toolchain, or an error that says what was looked for and what would help.
pub fn require() -> Result<Toolchain> {
    let search = search();
    search
        .outcome
        .map_err(|linkers| anyhow!(explain(&search.compilers, &linkers, &[])))
}

/// Makes a toolchain where the search found none.
pub fn make(apt: &mut Result<Apt>) -> Result<Toolchain> {
    let mut tried = Vec::new();
    let mut hopeless: Vec<PathBuf> = Vec::new();
    let first = compiler::survey();
    let ways = ways(&first, apt.is_ok());
    for way in std::iter::once(None).chain(ways.into_iter().map(Some)) {
        if let Some(way) = way
            && let Err(error) = way.go(apt)
        {
            tried.push(format!("{}: {error:#}", way.command()));
            continue;
        }
        for compiler in usable(&compiler::survey()) {
            if hopeless.contains(&compiler.rustc) {
                continue;
            }
            let found = linker::find(compiler).map_or_else(|_| linker::make(compiler, apt), Ok);
            match found {
                Ok(linker) => {
                    let compiler = compiler.clone();
                    return Ok(Toolchain { compiler, linker });
                }
                Err(error) => {
                    tried.push(format!("bpf-linker for {}: {error:#}", compiler.origin));
                    hopeless.push(compiler.rustc.clone());
                }
            }
        }
    }
    let search = search();
    let linkers = search.outcome.err().unwrap_or_default();
    Err(anyhow!(explain(&search.compilers, &linkers, &tried)))
}

/// A way to come by a compiler that has the source of `core`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Debian's compiler and its source.
    DebianPackages,
    /// The source for a nightly that lies there without it.
    NightlySource,
    /// The nightly itself.
    NightlyToolchain,
}

impl Way {
    /// What a person would type.
    pub fn command(self) -> String {
        match self {
            Self::DebianPackages => apt::by_hand(&COMPILER_PACKAGES),
            Self::NightlySource => "rustup component add rust-src --toolchain nightly".into(),
            Self::NightlyToolchain => {
                "rustup toolchain install nightly --profile minimal --component rust-src".into()
            }
        }
    }

    fn go(self, apt: &mut Result<Apt>) -> Result<()> {
        match (self, apt) {
            (Self::DebianPackages, Ok(apt)) => apt.install(&COMPILER_PACKAGES),
            (Self::DebianPackages, Err(reason)) => Err(anyhow!("{reason:#}")),
            // Where the network swallows what it will not carry, rustup alone waits for ever.
            (Self::NightlySource, _) => within("120", &self.command()),
            (Self::NightlyToolchain, _) => within("600", &self.command()),
        }
    }
}

/// The ways open on this machine, in the order in which they are tried.
///
/// The distribution goes first: its compiler is a release that stands still, and the LLVM
/// that bpf-linker has to be built with comes from the same place in the same version. A
/// nightly changes its LLVM when it likes.
pub fn ways(compilers: &[Finding], has_apt: bool) -> Vec<Way> {
    let mut ways = Vec::new();
    for (origin, finding) in compilers {
        match (origin, finding) {
            (Origin::Distribution, Err(_)) if has_apt => ways.insert(0, Way::DebianPackages),
            (Origin::Nightly, Err(Unfit::NoSource)) => ways.push(Way::NightlySource),
            (Origin::Nightly, Err(Unfit::Absent(_))) => ways.push(Way::NightlyToolchain),
            _ => {}
        }
    }
    ways
}

fn within(seconds: &str, command: &str) -> Result<()> {
    let mut timeout = shell::command("timeout");
    timeout
        .env("RUSTUP_MAX_RETRIES", "1")
        .env("RUST_BACKTRACE", "0");
    shell::run(timeout.arg(seconds).args(command.split(' ')))
}

fn usable(compilers: &[Finding]) -> impl Iterator<Item = &Compiler> {
    compilers
        .iter()
        .filter_map(|(_, finding)| finding.as_ref().ok())
}

/// The error where there is no toolchain: what was looked for, in which order, why each did
/// not do, what was tried, and the commands that would help.
fn explain(compilers: &[Finding], linkers: &[String], tried: &[String]) -> String {
    let mut text = String::from("no toolchain for the eBPF half. Looked for, in this order:\n");
    for (place, (origin, finding)) in compilers.iter().enumerate() {
        let found = match finding {
            Ok(compiler) => format!("rustc {} is there", compiler.version.release),
            Err(unfit) => unfit.to_string(),
        };
        let _ = writeln!(text, "  {}. {origin}: {found}", place + 1);
    }
    for reason in linkers {
        let _ = writeln!(text, "  bpf-linker: {reason}");
    }
    if !tried.is_empty() {
        text.push_str("Tried:\n");
        for attempt in tried {
            let _ = writeln!(text, "  {}", attempt.replace('\n', "\n  "));
        }
    }
    text.push_str("What helps: `cargo xtask setup` as root on Debian 12 or later; or by hand\n");
    match usable(compilers).next() {
        Some(compiler) => {
            let _ = writeln!(text, "  {}", linker::remedy(compiler.version.llvm));
        }
        None => {
            for way in [
                Way::DebianPackages,
                Way::NightlySource,
                Way::NightlyToolchain,
            ] {
                let wanted = way == Way::DebianPackages || ways(compilers, false).contains(&way);
                if wanted {
                    let _ = writeln!(text, "  {}", way.command());
                }
            }
        }
    }
    text.push_str("docs/toolchain.md tells more");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compiler::Version;

    fn absent(origin: Origin) -> Finding {
        (origin, Err(Unfit::Absent("nothing there".into())))
    }

    fn present(origin: Origin) -> Finding {
        let version = Version {
            release: "1.96.0".into(),
            llvm: 22,
        };
        let compiler = Compiler {
            origin,
            rustc: "/usr/bin/rustc".into(),
            cargo: "cargo".into(),
            version,
        };
        (origin, Ok(compiler))
    }

    #[test]
    fn debian_packages_go_before_a_nightly_that_moves() {
        let nothing = [absent(Origin::Nightly), absent(Origin::Distribution)];
        assert_eq!(
            ways(&nothing, true),
            [Way::DebianPackages, Way::NightlyToolchain]
        );
        let sourceless = [
            (Origin::Nightly, Err(Unfit::NoSource)),
            absent(Origin::Distribution),
        ];
        assert_eq!(
            ways(&sourceless, true),
            [Way::DebianPackages, Way::NightlySource]
        );
    }

    #[test]
    fn without_apt_only_rustup_is_left() {
        let nothing = [absent(Origin::Nightly), absent(Origin::Distribution)];
        assert_eq!(ways(&nothing, false), [Way::NightlyToolchain]);
    }

    #[test]
    fn a_compiler_that_is_there_is_not_installed_again() {
        let both = [present(Origin::Nightly), present(Origin::Distribution)];
        assert!(ways(&both, true).is_empty());
    }

    #[test]
    fn the_error_names_each_place_in_order_what_was_tried_and_what_helps() {
        let nothing = [
            (Origin::Nightly, Err(Unfit::NoSource)),
            absent(Origin::Distribution),
        ];
        let text = explain(&nothing, &[], &["rustup component add: no network".into()]);
        let nightly = text.find("1. rustup's nightly").unwrap();
        let debian = text.find("2. /usr/bin/rustc").unwrap();
        assert!(nightly < debian, "{text}");
        for part in [
            "without the source of core",
            "nothing there",
            "rustup component add: no network",
            "apt-get install rustc-web rust-web-src",
            "rustup component add rust-src --toolchain nightly",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        assert!(
            !text.contains("toolchain install"),
            "the nightly is there\n{text}"
        );
    }

    #[test]
    fn where_only_the_linker_is_missing_the_error_names_its_command() {
        let debian = [absent(Origin::Nightly), present(Origin::Distribution)];
        let text = explain(&debian, &["no bpf-linker".into()], &[]);
        assert!(text.contains("bpf-linker: no bpf-linker"), "{text}");
        assert!(text.contains("cargo install bpf-linker"), "{text}");
        assert!(!text.contains("rustc-web rust-web-src\n"), "{text}");
    }
}
