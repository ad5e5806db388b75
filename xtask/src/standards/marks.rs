//! The marks above tests: `/// Standard: id, id`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

const MARK: &str = "/// Standard: ";

/// A test and the demands that it shows.
#[derive(Debug, PartialEq, Eq)]
pub struct Mark {
    /// The demands.
    pub ids: Vec<String>,
    /// The package that the test is of.
    pub package: String,
    /// The file, from the root of the checkout.
    pub file: PathBuf,
    /// The test's function.
    pub test: String,
}

impl Mark {
    /// The test as a person finds it.
    pub fn place(&self) -> String {
        format!("{} {}", self.file.display(), self.test)
    }
}

/// The marks of every Rust file of the checkout, in the order of the files' names.
pub fn collect(root: &Path) -> Result<Vec<Mark>> {
    let mut marks = Vec::new();
    for room in ["userspace", "xdp-ebpf", "tests"] {
        walk(root, &root.join(room), "", &mut marks)?;
    }
    Ok(marks)
}

fn walk(root: &Path, folder: &Path, package: &str, marks: &mut Vec<Mark>) -> Result<()> {
    let own = package_of(folder)?;
    let package = own.as_deref().unwrap_or(package);
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry?.path());
    }
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                walk(root, &path, package, marks)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path.strip_prefix(root).unwrap_or(&path);
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            for (ids, test) in marks_of(&text).with_context(|| file.display().to_string())? {
                marks.push(Mark {
                    ids,
                    package: package.to_owned(),
                    file: file.to_owned(),
                    test,
                });
            }
        }
    }
    Ok(())
}

/// The name of the package whose manifest lies in this folder.
fn package_of(folder: &Path) -> Result<Option<String>> {
    #[derive(serde::Deserialize)]
    struct Manifest {
        package: Package,
    }
    #[derive(serde::Deserialize)]
    struct Package {
        name: String,
    }
    let path = folder.join("Cargo.toml");
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let manifest: Manifest = toml::from_str(&text).with_context(|| path.display().to_string())?;
    Ok(Some(manifest.package.name))
}

/// Ids and function of each mark in a file. Between the two stand only comments and attributes.
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
                "line {}: expected a test below its `Standard:`, got {line:?}",
                index + 1
            );
        }
    }
    if !ids.is_empty() {
        bail!("a `Standard:` at the end of the file stands above no test");
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
        let text = "    /// Says.\n    /// Standard: a, b\n    /// Standard: c\n    #[test]\n    fn one() {}\n\
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
