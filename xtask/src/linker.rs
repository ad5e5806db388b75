//! bpf-linker, which links LLVM bitcode into a BPF object with BTF.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::io::Write;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::apt::{self, Apt};
use crate::compiler::Compiler;
use crate::shell;

const VERSION: &str = "0.13.0";

/// The LLVM versions this bpf-linker can be built with.
const LLVMS: RangeInclusive<u32> = 21..=23;

/// What is compiled and linked to see whether a compiler and a linker understand each other.
const PROOF: &str = "#![no_std]\n#[unsafe(no_mangle)]\npub extern \"C\" fn proof() -> u32 { 2 }\n";

/// The first bpf-linker that links what this compiler emits; else the reason why there is none.
///
/// A linker reads bitcode of its own LLVM and of older ones, and shows its LLVM nowhere, so
/// the two are tried out together. That costs some hundredths of a second.
pub fn find(compiler: &Compiler) -> Result<PathBuf, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<_> = env::split_paths(&path)
        .chain([cargo_home().join("bin")])
        .map(|folder| folder.join("bpf-linker"))
        .filter(|file| file.is_file())
        .collect();
    let mut seen = HashSet::new();
    places.retain(|place| seen.insert(place.clone()));
    if places.is_empty() {
        return Err(format!(
            "no bpf-linker, neither in PATH nor in {}",
            cargo_home().join("bin").display()
        ));
    }
    let folder = env::temp_dir().join(format!("causeway-linker-proof-{}", std::process::id()));
    let found = fs::create_dir_all(&folder)
        .map_err(|error| format!("cannot make {}: {error}", folder.display()))
        .and_then(|()| emit_proof(compiler, &folder))
        .and_then(|bitcode| {
            let mut reasons = Vec::new();
            for linker in places {
                match link_proof(&linker, &bitcode) {
                    Ok(()) => return Ok(linker),
                    Err(reason) => reasons.push(format!("{}: {reason}", linker.display())),
                }
            }
            Err(format!(
                "cannot link what rustc {} (LLVM {}) emits: {}",
                compiler.version.release,
                compiler.version.llvm,
                reasons.join("; ")
            ))
        });
    // What is left in the temporary folder after a failure here harms nobody.
    let _ = fs::remove_dir_all(&folder);
    found
}

/// Compiles for the host: a compiler needs no `core` for BPF to show what bitcode it writes.
fn emit_proof(compiler: &Compiler, folder: &Path) -> Result<PathBuf, String> {
    let source = folder.join("proof.rs");
    let bitcode = folder.join("proof.bc");
    fs::File::create(&source)
        .and_then(|mut file| file.write_all(PROOF.as_bytes()))
        .map_err(|error| format!("cannot write {}: {error}", source.display()))?;
    let mut rustc = shell::command(&compiler.rustc);
    rustc.args(["--edition", "2024", "--crate-type", "lib"]);
    rustc.args(["--emit", "llvm-bc", "-Cdebuginfo=2", "-Cpanic=abort", "-o"]);
    shell::ask(rustc.arg(&bitcode).arg(&source))?;
    Ok(bitcode)
}

fn link_proof(linker: &Path, bitcode: &Path) -> Result<(), String> {
    let mut command = shell::command(linker);
    command.args(["--target", "bpfel", "--btf", "--export", "proof", "-o"]);
    shell::ask(command.arg(bitcode.with_extension("o")).arg(bitcode)).map(drop)
}

/// Says what [`make`] would run for a compiler with this LLVM.
pub fn remedy(llvm: u32) -> String {
    match choose_llvm(llvm, &installed_llvms()) {
        Ok(Llvm::Installed(version)) => by_hand(version),
        Ok(Llvm::ToInstall(version)) => {
            format!(
                "{} && {}",
                apt::by_hand(&dev_packages(version).each_ref().map(String::as_str)),
                by_hand(version)
            )
        }
        Err(reason) => reason,
    }
}

/// Builds bpf-linker for a compiler into cargo's own folder of programs, where a second
/// clone finds it too: it takes a minute to build and belongs to the machine's rustc.
pub fn make(compiler: &Compiler, apt: &mut Result<Apt>) -> Result<PathBuf> {
    let llvm =
        match choose_llvm(compiler.version.llvm, &installed_llvms()).map_err(anyhow::Error::msg)? {
            Llvm::Installed(llvm) => llvm,
            Llvm::ToInstall(llvm) => {
                let packages = dev_packages(llvm);
                let packages = packages.each_ref().map(String::as_str);
                match apt {
                    Ok(apt) => apt.install(&packages)?,
                    Err(reason) => bail!("bpf-linker needs LLVM {llvm} to be built: {reason:#}"),
                }
                llvm
            }
        };
    println!("building bpf-linker {VERSION} with LLVM {llvm}; this takes a minute or two");
    let prefix = llvm_prefix(llvm);
    let mut install = shell::cargo();
    install.env("LLVM_PREFIX", &prefix);
    install.env("RUSTFLAGS", format!("-L {}/lib", prefix.display()));
    install
        .stdin(Stdio::null())
        .args(["install", "bpf-linker", "--version", VERSION]);
    install
        .args(["--locked", "--force", "--root"])
        .arg(cargo_home());
    install.args(["--no-default-features", "--features"]);
    shell::run(install.arg(format!("llvm-{llvm}"))).with_context(|| by_hand(llvm))?;
    find(compiler).map_err(anyhow::Error::msg)
}

#[derive(Debug, PartialEq, Eq)]
enum Llvm {
    Installed(u32),
    ToInstall(u32),
}

/// The LLVM to build the linker with: one that is there and reads the compiler's bitcode,
/// else the compiler's own version.
fn choose_llvm(compiler: u32, installed: &[u32]) -> Result<Llvm, String> {
    let fit = installed
        .iter()
        .copied()
        .filter(|llvm| *llvm >= compiler)
        .min();
    if let Some(llvm) = fit {
        return Ok(Llvm::Installed(llvm));
    }
    if LLVMS.contains(&compiler) {
        return Ok(Llvm::ToInstall(compiler));
    }
    Err(format!(
        "the compiler has LLVM {compiler}, bpf-linker {VERSION} knows {} to {}",
        LLVMS.start(),
        LLVMS.end()
    ))
}

/// Those that Debian's packages brought whole: llvm-N-dev and libpolly-N-dev.
fn installed_llvms() -> Vec<u32> {
    LLVMS
        .filter(|llvm| {
            let lib = llvm_prefix(*llvm).join("lib");
            lib.join("libLLVM.so").exists() && lib.join("libPolly.a").exists()
        })
        .collect()
}

fn llvm_prefix(llvm: u32) -> PathBuf {
    format!("/usr/lib/llvm-{llvm}").into()
}

fn dev_packages(llvm: u32) -> [String; 2] {
    [format!("llvm-{llvm}-dev"), format!("libpolly-{llvm}-dev")]
}

fn by_hand(llvm: u32) -> String {
    let prefix = llvm_prefix(llvm);
    let prefix = prefix.display();
    format!(
        "LLVM_PREFIX={prefix} RUSTFLAGS=\"-L {prefix}/lib\" cargo install bpf-linker \
         --version {VERSION} --locked --force --no-default-features --features llvm-{llvm}"
    )
}

fn cargo_home() -> PathBuf {
    env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cargo"),
        PathBuf::from,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installed_llvm_that_reads_the_bitcode_is_taken_the_oldest_first() {
        assert_eq!(choose_llvm(22, &[21, 22, 23]), Ok(Llvm::Installed(22)));
        assert_eq!(choose_llvm(22, &[23]), Ok(Llvm::Installed(23)));
        assert_eq!(choose_llvm(20, &[21]), Ok(Llvm::Installed(21)));
    }

    #[test]
    fn an_older_llvm_cannot_read_newer_bitcode() {
        assert_eq!(choose_llvm(22, &[21]), Ok(Llvm::ToInstall(22)));
        assert_eq!(choose_llvm(23, &[]), Ok(Llvm::ToInstall(23)));
    }

    #[test]
    fn an_llvm_the_linker_does_not_know_is_refused_by_name() {
        let error = choose_llvm(24, &[21, 22, 23]).unwrap_err();
        assert!(error.contains("24") && error.contains("23"), "{error}");
    }
}
