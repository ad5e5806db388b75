//! bpf-linker: links LLVM bitcode into a BPF object with BTF.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::io::Write;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use causeway_lab::output::print_line;

use crate::apt::{self, Apt};
use crate::compiler::Compiler;
use crate::shell;

const VERSION: &str = "0.13.0";

/// The LLVM versions that this bpf-linker can be built with.
const LLVMS: RangeInclusive<u32> = 21..=23;

/// The source of a trial build, which shows whether a linker reads the bitcode of a compiler.
const SAMPLE: &str =
    "#![no_std]\n#[unsafe(no_mangle)]\npub extern \"C\" fn sample() -> u32 { 2 }\n";

/// The first bpf-linker that links the bitcode of this compiler, or the reason why none does.
///
/// A linker reads the bitcode of its own LLVM version and of older ones, but it has no option that prints this version.
/// A trial build takes a few hundredths of a second.
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
            "bpf-linker is neither in PATH nor in {}",
            cargo_home().join("bin").display()
        ));
    }
    let folder = tempfile::tempdir()
        .map_err(|error| format!("cannot create a temporary directory: {error}"))?;
    let bitcode = compile_sample(compiler, folder.path())?;
    let mut reasons = Vec::new();
    for linker in places {
        match link_sample(&linker, &bitcode) {
            Ok(()) => return Ok(linker),
            Err(reason) => reasons.push(format!("{}: {reason}", linker.display())),
        }
    }
    Err(format!(
        "cannot link the bitcode of rustc {} (LLVM {}): {}",
        compiler.version.release,
        compiler.version.llvm,
        reasons.join("; ")
    ))
}

/// Compiles the sample for the host. The bitcode has the same version, and the build needs no `core` for BPF.
fn compile_sample(compiler: &Compiler, folder: &Path) -> Result<PathBuf, String> {
    let source = folder.join("sample.rs");
    let bitcode = folder.join("sample.bc");
    fs::File::create(&source)
        .and_then(|mut file| file.write_all(SAMPLE.as_bytes()))
        .map_err(|error| format!("cannot write {}: {error}", source.display()))?;
    let mut rustc = shell::command(&compiler.rustc);
    rustc.args(["--edition", "2024", "--crate-type", "lib"]);
    rustc.args(["--emit", "llvm-bc", "-Cdebuginfo=2", "-Cpanic=abort", "-o"]);
    shell::capture(rustc.arg(&bitcode).arg(&source))?;
    Ok(bitcode)
}

fn link_sample(linker: &Path, bitcode: &Path) -> Result<(), String> {
    let mut command = shell::command(linker);
    command.args(["--target", "bpfel", "--btf", "--export", "sample", "-o"]);
    shell::capture(command.arg(bitcode.with_extension("o")).arg(bitcode)).map(drop)
}

/// The commands that [`build`] would run for a compiler with this LLVM version.
pub fn build_commands(llvm: u32) -> String {
    match choose_llvm(llvm, &installed_llvms()) {
        Ok(Llvm::Installed(version)) => build_command(version),
        Ok(Llvm::ToInstall(version)) => {
            format!(
                "{} && {}",
                apt::install_command(&dev_packages(version).each_ref().map(String::as_str)),
                build_command(version)
            )
        }
        Err(reason) => reason,
    }
}

/// Builds bpf-linker for a compiler and installs it into cargo's `bin` directory, where other clones find it too.
pub fn build(compiler: &Compiler, apt: &mut Result<Apt>) -> Result<PathBuf> {
    let llvm = match choose_llvm(compiler.version.llvm, &installed_llvms())
        .map_err(anyhow::Error::msg)?
    {
        Llvm::Installed(llvm) => llvm,
        Llvm::ToInstall(llvm) => {
            let packages = dev_packages(llvm);
            let packages = packages.each_ref().map(String::as_str);
            match apt {
                Ok(apt) => apt.install(&packages)?,
                Err(reason) => bail!("cannot install LLVM {llvm} to build bpf-linker: {reason:#}"),
            }
            llvm
        }
    };
    print_line(format_args!(
        "building bpf-linker {VERSION} with LLVM {llvm}; this takes a minute or two"
    ))?;
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
    shell::run(install.arg(format!("llvm-{llvm}"))).with_context(|| build_command(llvm))?;
    find(compiler).map_err(anyhow::Error::msg)
}

#[derive(Debug, PartialEq, Eq)]
enum Llvm {
    Installed(u32),
    ToInstall(u32),
}

/// The LLVM to build the linker with: the oldest installed one that reads the compiler's bitcode, else the compiler's
/// own version.
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
        "the compiler has LLVM {compiler}, but bpf-linker {VERSION} supports only LLVM {} to {}",
        LLVMS.start(),
        LLVMS.end()
    ))
}

/// The versions for which both llvm-N-dev and libpolly-N-dev are installed.
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

fn build_command(llvm: u32) -> String {
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
    fn the_oldest_installed_llvm_that_reads_the_bitcode_is_used() {
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
    fn an_unsupported_llvm_is_refused() {
        let error = choose_llvm(24, &[21, 22, 23]).unwrap_err();
        assert!(error.contains("24") && error.contains("23"), "{error}");
    }
}
