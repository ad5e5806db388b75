//! Where things lie in the checkout.

use std::path::{Path, PathBuf};

/// The checkout that this xtask was built from.
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Finds the checkout: the folder above xtask's own.
    pub fn locate() -> Self {
        let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self {
            root: xtask.parent().unwrap_or(xtask).to_path_buf(),
        }
    }

    /// The folder of the workspace's Cargo.toml.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The target directory, always the checkout's own: the causeway binary looks for the
    /// XDP object beside and above itself, so the two must not be parted by `CARGO_TARGET_DIR`.
    pub fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// The target directory of the kernel half, a Cargo workspace of its own.
    pub fn ebpf_target(&self) -> PathBuf {
        self.target().join("ebpf")
    }

    /// The manifest of the XDP program.
    pub fn ebpf_manifest(&self) -> PathBuf {
        self.root.join("xdp-ebpf/program/Cargo.toml")
    }

    /// The XDP object as the binary, the lab and the tests read it.
    pub fn xdp_object(&self) -> PathBuf {
        self.target().join("causeway-xdp.o")
    }

    /// What the perf harness has in the kernel, beside the XDP program.
    pub fn load_object(&self) -> PathBuf {
        self.target().join("causeway-load.o")
    }

    /// The causeway binary, built for release.
    pub fn causeway(&self) -> PathBuf {
        self.target().join("release/causeway")
    }

    /// All that is made for aarch64.
    pub fn aarch64(&self) -> PathBuf {
        self.target().join("aarch64")
    }

    /// The Python environment of the interoperability tests.
    pub fn venv(&self) -> PathBuf {
        self.target().join("interop-venv")
    }

    /// The Python packages of the interoperability tests.
    pub fn requirements(&self) -> PathBuf {
        self.root.join("tests/interop/requirements.txt")
    }
}
