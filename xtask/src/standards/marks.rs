//! The marks above tests: `/// Standard: id, id`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::workspace::rust_files;

const MARK: &str = "/// Standard: ";

/// A test and the requirements that it shows.
#[derive(Debug, PartialEq, Eq)]
pub struct Mark {
    pub ids: Vec<String>,
    pub package: String,
    /// Relative to the root of the checkout.
    pub file: PathBuf,
    pub test: String,
}

impl Mark {
    /// The file and the function.
    pub fn place(&self) -> String {
        format!("{} {}", self.file.display(), self.test)
    }
}

/// The marks of all Rust files, in the order of their paths.
pub fn collect(root: &Path) -> Result<Vec<Mark>> {
    let mut marks = Vec::new();
    for folder in ["userspace", "xdp-ebpf", "tests"] {
        for path in rust_files(&root.join(folder))? {
            let file = path.strip_prefix(root).unwrap_or(&path);
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            for (ids, test) in marks_of(&text).with_context(|| file.display().to_string())? {
                marks.push(Mark {
                    ids,
                    package: package_of(&path)?,
                    file: file.to_owned(),
                    test,
                });
            }
        }
    }
    Ok(marks)
}

/// The name of the package that a file belongs to.
fn package_of(file: &Path) -> Result<String> {
    #[derive(serde::Deserialize)]
    struct Manifest {
        package: Package,
    }
    #[derive(serde::Deserialize)]
    struct Package {
        name: String,
    }
    let mut manifests = file.ancestors().map(|folder| folder.join("Cargo.toml"));
    let path = manifests
        .find(|manifest| manifest.exists())
        .with_context(|| format!("no Cargo.toml above {}", file.display()))?;
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let manifest: Manifest = toml::from_str(&text).with_context(|| path.display().to_string())?;
    Ok(manifest.package.name)
}

/// Ids and function of each mark in a file. Only comments and attributes may be between them.
fn marks_of(text: &str) -> Result<Vec<(Vec<String>, String)>> {
    let mut marks = Vec::new();
    let mut ids: Vec<String> = Vec::new();
    let mut is_test = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(list) = line.strip_prefix(MARK) {
            ids.extend(list.split(',').map(|id| id.trim().to_owned()));
        } else if ids.is_empty() || line.starts_with("//") {
            continue;
        } else if line.starts_with("#[") {
            is_test |= line.contains("test]");
        } else if let Some(name) = function(line).filter(|_| is_test) {
            marks.push((std::mem::take(&mut ids), name.to_owned()));
            is_test = false;
        } else {
            bail!(
                "line {}: expected a test after `Standard:`, got {line:?}",
                index + 1
            );
        }
    }
    if !ids.is_empty() {
        bail!("expected a test after the last `Standard:`, got the end of the file");
    }
    Ok(marks)
}

fn function(line: &str) -> Option<&str> {
    let rest = line
        .strip_prefix("async ")
        .unwrap_or(line)
        .strip_prefix("fn ")?;
    rest.split('(').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_belongs_to_the_test_below_it() {
        let text = "    /// Text.\n    /// Standard: a, b\n    /// Standard: c\n    #[test]\n    fn one() {}\n\
                    #[test]\nfn unmarked() {}\n/// Standard: d\n#[tokio::test]\nasync fn two() {}\n";
        let ids = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect();
        assert_eq!(
            marks_of(text).unwrap(),
            [
                (ids(&["a", "b", "c"]), "one".to_owned()),
                (ids(&["d"]), "two".to_owned())
            ]
        );
    }

    #[test]
    fn a_mark_without_a_test_is_refused() {
        for text in [
            "/// Standard: a\nfn helper() {}\n",
            "/// Standard: a\n\n#[test]\nfn t() {}\n",
            "/// Standard: a\n",
        ] {
            assert!(marks_of(text).is_err(), "{text:?}");
        }
    }
}
