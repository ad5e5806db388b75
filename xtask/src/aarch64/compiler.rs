//! The search for a compiler with Rust's standard library for aarch64.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::shell;

/// The target, as Rust names it.
pub const TARGET: &str = "aarch64-unknown-linux-gnu";

/// A compiler for aarch64.
pub struct Compiler {
    pub rustc: PathBuf,
    /// The package with the standard library, as `name=version`, if the library is not installed.
    pub library: Option<String>,
}

impl Compiler {
    /// Prefers the compiler of the other builds, if rustup has installed the target for it. Else uses Debian's compiler,
    /// whose library for aarch64 is a package.
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
                "no installed compiler has the standard library for aarch64. Run one of these:\n  \
                 rustup target add {TARGET}\n  apt-get install rustc-web"
            )
        })?;
        Ok(Self {
            rustc: debian,
            library: Some(library),
        })
    }
}

fn has_library(rustc: &Path) -> bool {
    let mut query = shell::command(rustc);
    query.args(["--print", "target-libdir", "--target", TARGET]);
    shell::capture(&mut query).is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

fn package_of(rustc: &Path) -> Result<String> {
    let owner = shell::capture(shell::command("dpkg-query").arg("-S").arg(rustc));
    let owner = owner.map_err(anyhow::Error::msg)?;
    let name = owner.split(':').next().unwrap_or_default();
    let mut version = shell::command("dpkg-query");
    version.args(["-W", "-f", "${Version}", name]);
    let version = shell::capture(&mut version).map_err(anyhow::Error::msg)?;
    library_of(name, &version).with_context(|| format!("expected a package rustc*, got {name}"))
}

/// The package of the standard library. Its version equals that of the compiler.
fn library_of(compiler: &str, version: &str) -> Option<String> {
    let family = compiler.strip_prefix("rustc")?;
    Some(format!("libstd-rust{family}-dev={version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_has_the_family_and_version_of_the_compiler() {
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
