//! The toolchain for the XDP program: a compiler and a linker that passed a trial build together.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Result, anyhow};

use crate::apt::{self, Apt};
use crate::compiler::{self, Compiler, Finding, Origin, Unfit};
use crate::linker;
use crate::shell;

const COMPILER_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// A compiler and a bpf-linker that reads its bitcode.
pub struct Toolchain {
    pub compiler: Compiler,
    /// The path of bpf-linker.
    pub linker: PathBuf,
}

/// The result of a search.
pub struct Search {
    /// The compilers, in search order.
    pub compilers: [Finding; 2],
    /// The first pair that works, else one reason for each usable compiler.
    pub outcome: Result<Toolchain, Vec<String>>,
}

/// Searches for a working toolchain without changing anything.
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

/// The toolchain, or an error with the places of the search and the commands that install one.
pub fn require() -> Result<Toolchain> {
    let search = search();
    search
        .outcome
        .map_err(|linkers| anyhow!(explain(&search.compilers, &linkers, &[])))
}

/// Installs a toolchain. The search has found none.
pub fn install(apt: &mut Result<Apt>) -> Result<Toolchain> {
    let mut tried = Vec::new();
    let mut failed: Vec<PathBuf> = Vec::new();
    let first = compiler::survey();
    let methods = install_methods(&first, apt.is_ok());
    for method in std::iter::once(None).chain(methods.into_iter().map(Some)) {
        if let Some(method) = method
            && let Err(error) = method.run(apt)
        {
            tried.push(format!("{}: {error:#}", method.command()));
            continue;
        }
        for compiler in usable(&compiler::survey()) {
            if failed.contains(&compiler.rustc) {
                continue;
            }
            let found = linker::find(compiler).map_or_else(|_| linker::build(compiler, apt), Ok);
            match found {
                Ok(linker) => {
                    let compiler = compiler.clone();
                    return Ok(Toolchain { compiler, linker });
                }
                Err(error) => {
                    tried.push(format!("bpf-linker for {}: {error:#}", compiler.origin));
                    failed.push(compiler.rustc.clone());
                }
            }
        }
    }
    let search = search();
    let linkers = search.outcome.err().unwrap_or_default();
    Err(anyhow!(explain(&search.compilers, &linkers, &tried)))
}

/// A command that installs a compiler with the source of `core`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstallMethod {
    /// Installs Debian's compiler and its source.
    DebianPackages,
    /// Adds the source to an installed nightly.
    NightlySource,
    /// Installs a nightly with the source.
    NightlyToolchain,
}

impl InstallMethod {
    pub fn command(self) -> String {
        match self {
            Self::DebianPackages => apt::install_command(&COMPILER_PACKAGES),
            Self::NightlySource => "rustup component add rust-src --toolchain nightly".into(),
            Self::NightlyToolchain => {
                "rustup toolchain install nightly --profile minimal --component rust-src".into()
            }
        }
    }

    fn run(self, apt: &mut Result<Apt>) -> Result<()> {
        match (self, apt) {
            (Self::DebianPackages, Ok(apt)) => apt.install(&COMPILER_PACKAGES),
            (Self::DebianPackages, Err(reason)) => Err(anyhow!("{reason:#}")),
            // rustup has no timeout of its own: it hangs if the network drops its packets.
            (Self::NightlySource, _) => within("120", &self.command()),
            (Self::NightlyToolchain, _) => within("600", &self.command()),
        }
    }
}

/// The methods for this machine, in the order of the attempts.
///
/// The distribution is first. Its compiler is a release, and it packages the same version of LLVM, which the build of
/// bpf-linker needs. A nightly may use an LLVM that no package has.
pub fn install_methods(compilers: &[Finding], has_apt: bool) -> Vec<InstallMethod> {
    let mut methods = Vec::new();
    for (origin, finding) in compilers {
        match (origin, finding) {
            (Origin::Distribution, Err(_)) if has_apt => {
                methods.insert(0, InstallMethod::DebianPackages)
            }
            (Origin::Nightly, Err(Unfit::NoSource)) => methods.push(InstallMethod::NightlySource),
            (Origin::Nightly, Err(Unfit::Absent(_))) => {
                methods.push(InstallMethod::NightlyToolchain)
            }
            _ => {}
        }
    }
    methods
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

/// The error text for a missing toolchain: each place of the search with the reason why it does not fit, the attempts
/// to install one, and the commands that help.
fn explain(compilers: &[Finding], linkers: &[String], tried: &[String]) -> String {
    let mut text = String::from("no toolchain for the XDP program. Searched, in this order:\n");
    for (place, (origin, finding)) in compilers.iter().enumerate() {
        let found = match finding {
            Ok(compiler) => format!("found rustc {}", compiler.version.release),
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
    text.push_str("Run `cargo xtask setup` as root on Debian 12 or later, or run one of these:\n");
    match usable(compilers).next() {
        Some(compiler) => {
            let _ = writeln!(text, "  {}", linker::build_commands(compiler.version.llvm));
        }
        None => {
            for method in [
                InstallMethod::DebianPackages,
                InstallMethod::NightlySource,
                InstallMethod::NightlyToolchain,
            ] {
                let is_debian = method == InstallMethod::DebianPackages;
                let fits = is_debian || install_methods(compilers, false).contains(&method);
                if fits {
                    let _ = writeln!(text, "  {}", method.command());
                }
            }
        }
    }
    text.push_str("See docs/toolchain.md");
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
    fn debian_packages_are_tried_before_a_nightly() {
        let nothing = [absent(Origin::Nightly), absent(Origin::Distribution)];
        assert_eq!(
            install_methods(&nothing, true),
            [
                InstallMethod::DebianPackages,
                InstallMethod::NightlyToolchain
            ]
        );
        let sourceless = [
            (Origin::Nightly, Err(Unfit::NoSource)),
            absent(Origin::Distribution),
        ];
        assert_eq!(
            install_methods(&sourceless, true),
            [InstallMethod::DebianPackages, InstallMethod::NightlySource]
        );
    }

    #[test]
    fn without_apt_only_rustup_is_tried() {
        let nothing = [absent(Origin::Nightly), absent(Origin::Distribution)];
        assert_eq!(
            install_methods(&nothing, false),
            [InstallMethod::NightlyToolchain]
        );
    }

    #[test]
    fn an_installed_compiler_is_not_installed_again() {
        let both = [present(Origin::Nightly), present(Origin::Distribution)];
        assert!(install_methods(&both, true).is_empty());
    }

    #[test]
    fn the_error_lists_places_attempts_and_commands_in_order() {
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
    fn if_only_the_linker_is_missing_the_error_has_its_command() {
        let debian = [absent(Origin::Nightly), present(Origin::Distribution)];
        let text = explain(&debian, &["no bpf-linker".into()], &[]);
        assert!(text.contains("bpf-linker: no bpf-linker"), "{text}");
        assert!(text.contains("cargo install bpf-linker"), "{text}");
        assert!(!text.contains("rustc-web rust-web-src\n"), "{text}");
    }
}
