//! The packages of the distribution that the build and the lab need.
//!
//! A dependency is present if its program, header or library is found, whether or not a package brought it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::shell;

/// A Debian package and the file by which its presence is checked.
pub struct Dependency {
    pub package: &'static str,
    pub why: &'static str,
    check: Check,
}

enum Check {
    /// One of these programs.
    Program(&'static [&'static str]),
    /// A C header: a path below `/usr/include` or its multiarch directory, or an absolute path.
    Header(&'static str),
    /// The shared library libclang, in the directories that bindgen searches.
    Libclang,
    /// A shared library for x86-64, loaded at run time. Other machines need none.
    X86Library(&'static str),
    /// Importable Python modules.
    Python(&'static str),
}

const LIBXDP: &str = "builds libxdp and libbpf for AF_XDP sockets (xsk-rs)";
const GCC: &str =
    "builds libxdp and libbpf for AF_XDP sockets (xsk-rs), and AWS-LC for ESP (aws-lc-rs)";
const LIBXDP_CONFIGURE: &str = "libxdp's configure script requires it";
const LIBXDP_BPF: &str = "compiles the BPF programs of libxdp";

/// The dependencies of build, lab and tests, in display order.
pub const DEPENDENCIES: [Dependency; 18] = [
    dependency("gcc", GCC, Check::Program(&["gcc"])),
    dependency("make", LIBXDP, Check::Program(&["make"])),
    dependency("pkg-config", LIBXDP, Check::Program(&["pkg-config"])),
    dependency("libelf-dev", LIBXDP, Check::Header("libelf.h")),
    dependency("zlib1g-dev", LIBXDP, Check::Header("zlib.h")),
    dependency(
        "libpcap-dev",
        LIBXDP_CONFIGURE,
        Check::Header("pcap/pcap.h"),
    ),
    dependency("m4", LIBXDP_BPF, Check::Program(&["m4"])),
    dependency(
        "clang",
        LIBXDP_BPF,
        Check::Program(&[
            "clang", "clang-17", "clang-16", "clang-15", "clang-14", "clang-13", "clang-12",
            "clang-11",
        ]),
    ),
    dependency(
        "llvm",
        LIBXDP_BPF,
        Check::Program(&[
            "llc", "llc-17", "llc-16", "llc-15", "llc-14", "llc-13", "llc-12", "llc-11",
        ]),
    ),
    dependency(
        "libclang-dev",
        "reads the C headers of libxdp for Rust (bindgen)",
        Check::Libclang,
    ),
    dependency(
        "iproute2",
        "creates the lab's network namespaces",
        Check::Program(&["ip"]),
    ),
    dependency(
        "ethtool",
        "disables offloads of the lab's veth devices",
        Check::Program(&["ethtool"]),
    ),
    dependency(
        "iperf3",
        "sends TCP streams through the lab",
        Check::Program(&["iperf3"]),
    ),
    dependency(
        "tcpdump",
        "captures on the lab's trunk, to check that all its packets are ESP",
        Check::Program(&["tcpdump"]),
    ),
    dependency(
        "tshark",
        "decrypts our ESP packets, as an independent implementation beside scapy",
        Check::Program(&["tshark"]),
    ),
    dependency(
        "valgrind",
        "checks memory accesses of the ciphers' foreign code in the tests of ESP",
        Check::Program(&["valgrind"]),
    ),
    dependency(
        "python3-venv",
        "holds scapy, an independent implementation for the tests of ESP",
        Check::Python("ensurepip, venv"),
    ),
    dependency(
        "libipsec-mb1",
        "provides the AEADs of intel-ipsec-mb, one of three backends in tests and measurements",
        Check::X86Library("libIPSec_MB.so.1"),
    ),
];

/// The additional dependencies of `cargo xtask verify aarch64`.
pub const AARCH64_DEPENDENCIES: [Dependency; 3] = [
    dependency(
        "gcc-aarch64-linux-gnu",
        "compiles C for aarch64 and links",
        Check::Program(&["aarch64-linux-gnu-gcc"]),
    ),
    dependency(
        "libc6-dev-arm64-cross",
        "the C library of aarch64, for linking and for qemu",
        Check::Header("/usr/aarch64-linux-gnu/include/asm/types.h"),
    ),
    dependency(
        "qemu-user",
        "runs programs for aarch64 on this CPU",
        Check::Program(&["qemu-aarch64"]),
    ),
];

const fn dependency(package: &'static str, why: &'static str, check: Check) -> Dependency {
    Dependency {
        package,
        why,
        check,
    }
}

impl Dependency {
    pub fn is_present(&self) -> bool {
        match self.check {
            Check::Program(names) => names.iter().any(|name| shell::which(name).is_some()),
            Check::Header(name) => has_header(name),
            Check::Libclang => has_libclang(),
            Check::X86Library(name) => !cfg!(target_arch = "x86_64") || has_library(name),
            Check::Python(modules) => shell::which("python3").is_some_and(|python| {
                shell::capture(Command::new(python).args(["-c", &format!("import {modules}")]))
                    .is_ok()
            }),
        }
    }
}

fn has_header(name: &str) -> bool {
    let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
    let include = Path::new("/usr/include");
    [include.join(name), include.join(multiarch).join(name)]
        .iter()
        .any(|header| header.is_file())
}

fn has_library(name: &str) -> bool {
    let multiarch = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    [&multiarch, "/usr/lib64", "/usr/lib", "/usr/local/lib"]
        .iter()
        .any(|folder| Path::new(folder).join(name).exists())
}

/// Searches as clang-sys does on Linux: `$LIBCLANG_PATH`, the LLVM trees, the library directories.
fn has_libclang() -> bool {
    let named = std::env::var_os("LIBCLANG_PATH").map(Into::into);
    let trees = entries(Path::new("/usr/lib"))
        .filter(|name| name.starts_with("llvm-"))
        .map(|name| Path::new("/usr/lib").join(name).join("lib"));
    let multiarch = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    named
        .into_iter()
        .chain(trees)
        .chain([multiarch.into(), "/usr/lib64".into(), "/usr/lib".into()])
        .any(|folder| entries(&folder).any(|name| is_libclang(&name)))
}

fn entries(folder: &Path) -> impl Iterator<Item = String> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// Accepts `libclang.so`, `libclang.so.1` and `libclang-14.so.1`, but not the C++ library `libclang-cpp.so`.
fn is_libclang(file: &str) -> bool {
    file.strip_prefix("libclang").is_some_and(|rest| {
        rest.trim_start_matches(|c: char| c == '-' || c == '.' || c.is_ascii_digit())
            .starts_with("so")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_c_library_of_clang_counts() {
        for name in [
            "libclang.so",
            "libclang.so.1",
            "libclang-14.so.14",
            "libclang-14.0.6.so",
        ] {
            assert!(is_libclang(name), "{name}");
        }
        for name in [
            "libclang-cpp.so.22",
            "libclang_rt.a",
            "libLLVM.so",
            "libclang.a",
            "libclang-14",
        ] {
            assert!(!is_libclang(name), "{name}");
        }
    }

    #[test]
    fn a_dependency_is_present_with_any_of_its_programs() {
        let shell = dependency("x", "", Check::Program(&["no-such-program", "sh"]));
        assert!(shell.is_present());
        assert!(!dependency("x", "", Check::Program(&["no-such-program"])).is_present());
        assert!(!dependency("x", "", Check::Header("no/such/header.h")).is_present());
        assert!(!dependency("x", "", Check::Python("no_such_module")).is_present());
        let library = dependency("x", "", Check::X86Library("libno-such-library.so.1"));
        assert_eq!(library.is_present(), !cfg!(target_arch = "x86_64"));
        assert!(dependency("x", "", Check::X86Library("libc.so.6")).is_present());
    }
}
