//! What the build and the lab take from the distribution.
//!
//! A need is met by what proves to be there, not by what a package database says, so a
//! machine that has the thing from elsewhere is not asked to install it again.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::shell;

/// One thing that the distribution has to bring.
pub struct Need {
    /// The Debian package.
    pub package: &'static str,
    /// What it is for.
    pub why: &'static str,
    proof: Proof,
}

enum Proof {
    /// Any one of these programs.
    Program(&'static [&'static str]),
    /// A C header, below `/usr/include` or its multiarch folder, or by its whole path.
    Header(&'static str),
    /// The shared library of libclang, where bindgen looks for it.
    Libclang,
    /// A shared library that programs open at run time, which exists for x86-64 only.
    LibraryOfX86(&'static str),
    /// Python modules that import.
    Python(&'static str),
}

const LIBXDP: &str = "builds libxdp and libbpf, which the AF_XDP sockets (xsk-rs) link";
const GCC: &str =
    "builds libxdp and libbpf for the AF_XDP sockets (xsk-rs), and AWS-LC for ESP (aws-lc-rs)";
const LIBXDP_CONFIGURE: &str = "libxdp's configure script stops without it";
const LIBXDP_BPF: &str = "compiles the BPF programs inside libxdp";

/// Everything, in the order in which it is shown.
pub const NEEDS: [Need; 18] = [
    need("gcc", GCC, Proof::Program(&["gcc"])),
    need("make", LIBXDP, Proof::Program(&["make"])),
    need("pkg-config", LIBXDP, Proof::Program(&["pkg-config"])),
    need("libelf-dev", LIBXDP, Proof::Header("libelf.h")),
    need("zlib1g-dev", LIBXDP, Proof::Header("zlib.h")),
    need(
        "libpcap-dev",
        LIBXDP_CONFIGURE,
        Proof::Header("pcap/pcap.h"),
    ),
    need("m4", LIBXDP_BPF, Proof::Program(&["m4"])),
    need(
        "clang",
        LIBXDP_BPF,
        Proof::Program(&[
            "clang", "clang-17", "clang-16", "clang-15", "clang-14", "clang-13", "clang-12",
            "clang-11",
        ]),
    ),
    need(
        "llvm",
        LIBXDP_BPF,
        Proof::Program(&[
            "llc", "llc-17", "llc-16", "llc-15", "llc-14", "llc-13", "llc-12", "llc-11",
        ]),
    ),
    need(
        "libclang-dev",
        "reads the C headers of libxdp for Rust (bindgen)",
        Proof::Libclang,
    ),
    need(
        "iproute2",
        "makes the lab's network namespaces",
        Proof::Program(&["ip"]),
    ),
    need(
        "ethtool",
        "turns off the offloads of the lab's veth devices",
        Proof::Program(&["ethtool"]),
    ),
    need(
        "iperf3",
        "sends TCP streams through the lab",
        Proof::Program(&["iperf3"]),
    ),
    need(
        "tcpdump",
        "captures on the lab's trunk, to see that everything there is ESP",
        Proof::Program(&["tcpdump"]),
    ),
    need(
        "tshark",
        "decrypts our ESP with the keys, as somebody else's word on it beside scapy's",
        Proof::Program(&["tshark"]),
    ),
    need(
        "valgrind",
        "watches the memory of the ciphers' foreign code while the tests of ESP run",
        Proof::Program(&["valgrind"]),
    ),
    need(
        "python3-venv",
        "holds scapy, against which ESP is checked",
        Proof::Python("ensurepip, venv"),
    ),
    need(
        "libipsec-mb1",
        "the AEADs of intel-ipsec-mb, which are tested and measured beside the others",
        Proof::LibraryOfX86("libIPSec_MB.so.1"),
    ),
];

/// What `cargo xtask verify aarch64` takes beyond that.
pub const NEEDS_OF_AARCH64: [Need; 3] = [
    need(
        "gcc-aarch64-linux-gnu",
        "compiles C for aarch64 and links",
        Proof::Program(&["aarch64-linux-gnu-gcc"]),
    ),
    need(
        "libc6-dev-arm64-cross",
        "the C library of aarch64, to link and to run with",
        Proof::Header("/usr/aarch64-linux-gnu/include/asm/types.h"),
    ),
    need(
        "qemu-user",
        "runs programs for aarch64 on this CPU",
        Proof::Program(&["qemu-aarch64"]),
    ),
];

const fn need(package: &'static str, why: &'static str, proof: Proof) -> Need {
    Need {
        package,
        why,
        proof,
    }
}

impl Need {
    /// Whether it is there.
    pub fn is_met(&self) -> bool {
        match self.proof {
            Proof::Program(names) => names.iter().any(|name| shell::which(name).is_some()),
            Proof::Header(name) => has_header(name),
            Proof::Libclang => has_libclang(),
            Proof::LibraryOfX86(name) => !cfg!(target_arch = "x86_64") || has_library(name),
            Proof::Python(modules) => shell::which("python3").is_some_and(|python| {
                shell::ask(Command::new(python).args(["-c", &format!("import {modules}")])).is_ok()
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

/// Looks where clang-sys looks on Linux: `$LIBCLANG_PATH`, the LLVM trees, the library folders.
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

/// `libclang.so`, `libclang.so.1`, `libclang-14.so.1`; not the C++ library `libclang-cpp.so`.
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
    fn a_need_is_met_by_any_of_its_programs_and_by_nothing_else() {
        let shell = need("x", "", Proof::Program(&["no-such-program", "sh"]));
        assert!(shell.is_met());
        assert!(!need("x", "", Proof::Program(&["no-such-program"])).is_met());
        assert!(!need("x", "", Proof::Header("no/such/header.h")).is_met());
        assert!(!need("x", "", Proof::Python("no_such_module")).is_met());
        let library = need("x", "", Proof::LibraryOfX86("libno-such-library.so.1"));
        assert_eq!(library.is_met(), !cfg!(target_arch = "x86_64"));
        assert!(need("x", "", Proof::LibraryOfX86("libc.so.6")).is_met());
    }
}
