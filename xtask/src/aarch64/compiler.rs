//! A compiler that has Rust's standard library for aarch64.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::TARGET;
use crate::shell;

/// A compiler, and where it lacks the library, the package that brings it.
pub struct Compiler {
    /// The compiler.
    pub rustc: PathBuf,
    /// The package with its exact version, in apt's words.
    pub library: Option<String>,
}

impl Compiler {
    /// The one that builds the rest, if rustup has given it the target; else Debian's, whose library
    /// for another architecture is a package.
    pub fn find() -> Result<Self> {
        let own = PathBuf::from("rustc");
        let debian = PathBuf::from("/usr/bin/rustc");
        for rustc in [&own, &debian] {
            if has_library(rustc) {
                let rustc = rustc.clone();
                return Ok(Self {
                    rustc,
                    library: None,
                });
            }
        }
        let library = package_of(&debian).with_context(|| {
            format!(
                "no compiler here has the standard library for aarch64, and Debian's, which could have it \
                 from a package, is not installed. Either helps:\n  rustup target add {TARGET}\n  \
                 apt-get install rustc-web"
            )
        })?;
        Ok(Self {
            rustc: debian,
            library: Some(library),
        })
    }
}

fn has_library(rustc: &Path) -> bool {
    let mut ask = shell::command(rustc);
    ask.args(["--print", "target-libdir", "--target", TARGET]);
    shell::ask(&mut ask).is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

fn package_of(rustc: &Path) -> Result<String> {
    let owner = shell::ask(shell::command("dpkg-query").arg("-S").arg(rustc));
    let owner = owner.map_err(anyhow::Error::msg)?;
    let name = owner.split(':').next().unwrap_or_default();
    let mut version = shell::command("dpkg-query");
    version.args(["-W", "-f", "${Version}", name]);
    let version = shell::ask(&mut version).map_err(anyhow::Error::msg)?;
    library_of(name, &version).with_context(|| format!("{name} is no package of a compiler"))
}

/// The standard library goes with the compiler of the very same version.
fn library_of(compiler: &str, version: &str) -> Option<String> {
    let family = compiler.strip_prefix("rustc")?;
    Some(format!("libstd-rust{family}-dev={version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_of_the_compilers_family_and_version() {
        let library = library_of("rustc-web", "1.96.0+dfsg1-1~deb12u2");
        assert_eq!(
            library.as_deref(),
            Some("libstd-rust-web-dev=1.96.0+dfsg1-1~deb12u2")
        );
        assert_eq!(
            library_of("rustc", "1.99").as_deref(),
            Some("libstd-rust-dev=1.99")
        );
        assert_eq!(library_of("gcc", "12"), None);
    }
}
