//! `cargo xtask verify house`: the rooms (crates), the arrows (dependencies) between them, and import circles between files.
//!
//! `cargo metadata` lists the crates, and `syn` reads their files. The module `imports` defines an import.

mod arrows;
mod circles;
mod imports;
mod modules;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use anyhow::{Context, Result, anyhow};
use cargo_metadata::{DependencyKind, MetadataCommand, Package, TargetKind};
use causeway_lab::output::print_line;

use crate::house::arrows::Allowed;
use crate::house::circles::{Circle, Exception};
use crate::house::imports::Place;
use crate::house::modules::Modules;
use crate::shell;
use crate::workspace;

/// The manifests of both workspaces.
const MANIFESTS: [&str; 2] = ["Cargo.toml", "xdp-ebpf/program/Cargo.toml"];

/// The allowed import circles.
const EXCEPTIONS: &[Exception] = &[
    Exception {
        room: "esp",
        files: &["src/aead.rs", "src/window.rs"],
        reason: "The window makes a `Candidate`, the AEAD turns it into an `Authentic`, and only the window accepts that: \
                 two private constructors prove the order check, verify, advance.",
    },
    Exception {
        room: "steering",
        files: &["src/headers.rs", "src/ipv6.rs"],
        reason: "`Headers` has one parser for each family: `headers` calls that of IPv6, which returns a `Headers`.",
    },
];

/// The crates of a checkout by name.
struct House(BTreeMap<String, Room>);

struct Room {
    /// Lines of Rust that are compiled outside of tests.
    lines: usize,
    /// Lines of Rust under `#[cfg(test)]` and in targets for tests, benches and examples.
    test_lines: usize,
    /// Rooms among its normal dependencies and those of its build script.
    uses: BTreeSet<String>,
    /// Rooms among its dev-dependencies.
    tests_use: BTreeSet<String>,
    /// Importing and imported file, from the folder of the crate, with one place.
    imports: BTreeMap<(String, String), Place>,
}

/// Prints the structure of the checkout `root` and its faults. Returns whether it has none.
pub fn verify(root: &Path) -> Result<bool> {
    let house = House::read(root)?;
    print_line(&house)?;
    let mut faults = house.arrow_faults(root)?;
    faults.extend(house.circle_faults());
    for fault in &faults {
        print_line(fault)?;
    }
    if faults.is_empty() {
        print_line("no forbidden arrow, no import circle without a reason")?;
    }
    Ok(faults.is_empty())
}

impl House {
    fn read(root: &Path) -> Result<Self> {
        let mut rooms = BTreeMap::new();
        for manifest in MANIFESTS {
            let mut cargo = shell::cargo();
            cargo
                .args(["metadata", "--no-deps", "--format-version=1"])
                .arg("--manifest-path")
                .arg(root.join(manifest));
            let json = shell::capture(&mut cargo)
                .map_err(|error| anyhow!("cargo metadata failed: {error}"))?;
            for package in MetadataCommand::parse(json)?.packages {
                rooms.insert(short(&package.name), Room::read(&package)?);
            }
        }
        Ok(Self(rooms))
    }

    fn arrow_faults(&self, root: &Path) -> Result<Vec<String>> {
        let path = root.join("docs/architecture.md");
        let page = fs::read_to_string(&path);
        let allowed = page
            .map_err(Into::into)
            .and_then(|page| Allowed::parse(&page));
        let allowed = allowed.with_context(|| path.display().to_string())?;
        let arrows = self.0.iter().map(|(name, room)| (name, &room.uses));
        Ok(allowed.faults(arrows))
    }

    fn circle_faults(&self) -> Vec<String> {
        circles::faults(&self.circles(), EXCEPTIONS)
    }

    fn circles(&self) -> Vec<(String, Circle)> {
        let mut found = Vec::new();
        for (name, room) in &self.0 {
            let imports = room.imports.keys();
            let circles = circles::circles(imports.map(|(from, to)| (from.as_str(), to.as_str())));
            found.extend(circles.into_iter().map(|circle| (name.clone(), circle)));
        }
        found
    }
}

impl Room {
    fn read(package: &Package) -> Result<Self> {
        let manifest = package.manifest_path.as_std_path();
        let folder = manifest.parent().unwrap_or(manifest);
        let source = |file: &Path| {
            fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
        };
        let mut total = 0;
        for file in workspace::rust_files(folder)? {
            total += source(&file)?.lines().count();
        }
        let (mut lines, mut imports) = (BTreeMap::new(), BTreeMap::new());
        let of_tests = [TargetKind::Test, TargetKind::Bench, TargetKind::Example];
        let is_of_tests = |kind| of_tests.contains(kind);
        for target in &package.targets {
            if !target.kind.iter().any(is_of_tests) {
                let modules = Modules::read(target.src_path.as_std_path(), &source)?;
                imports.extend(imports::imports(&modules));
                lines.extend(modules.lines);
            }
        }
        let lines = lines.values().sum();
        let below = |file: PathBuf| {
            let file = file.strip_prefix(folder).unwrap_or(&file);
            file.display().to_string()
        };
        let uses = |of_tests: bool| {
            let here = package.dependencies.iter().filter(move |dependency| {
                let is_of_tests = dependency.kind == DependencyKind::Development;
                dependency.path.is_some() && is_of_tests == of_tests
            });
            here.map(|dependency| short(&dependency.name)).collect()
        };
        Ok(Self {
            lines,
            test_lines: total - lines,
            uses: uses(false),
            tests_use: uses(true),
            imports: imports
                .into_iter()
                .map(|((from, to), place)| ((below(from), below(to)), place))
                .collect(),
        })
    }
}

/// The name of a room: that of its package without `causeway-`.
fn short(package: &str) -> String {
    let name = package.strip_prefix("causeway-");
    name.unwrap_or(package).to_owned()
}

impl fmt::Display for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rooms = &self.0;
        writeln!(f, "{:<16} {:>7} {:>7}", "lines of Rust", "code", "tests")?;
        for (name, room) in rooms {
            writeln!(f, "{name:<16} {:>7} {:>7}", room.lines, room.test_lines)?;
        }
        let code: usize = rooms.values().map(|room| room.lines).sum();
        let tests: usize = rooms.values().map(|room| room.test_lines).sum();
        writeln!(f, "{:<16} {code:>7} {tests:>7}\n\narrows", "all")?;
        for (name, room) in rooms {
            for (title, used) in [("", &room.uses), (" (tests)", &room.tests_use)] {
                if !used.is_empty() {
                    let used: Vec<_> = used.iter().map(String::as_str).collect();
                    writeln!(f, "{name}{title} -> {}", used.join(", "))?;
                }
            }
        }
        let circles = self.circles();
        writeln!(f, "\nimport circles between files: {}", circles.len())?;
        for (name, circle) in &circles {
            writeln!(f, "{name}, {} files", circle.len())?;
            for ((from, to), (line, path)) in &rooms[name].imports {
                if circle.contains(from) && circle.contains(to) {
                    writeln!(f, "  {from}:{line} -> {to}  ({path})")?;
                }
            }
            if let Some(exception) = circles::exception(name, circle, EXCEPTIONS) {
                writeln!(f, "  allowed: {}", exception.reason)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_arrow_is_in_the_table() {
        let workspace = workspace::Workspace::locate();
        let house = House::read(workspace.root()).unwrap();
        assert!(house.0.len() > 10, "the crates are read");
        let faults = house.arrow_faults(workspace.root()).unwrap();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn every_import_circle_is_a_reasoned_exception() {
        let house = House::read(workspace::Workspace::locate().root()).unwrap();
        let faults = house.circle_faults();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
