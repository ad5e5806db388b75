//! Paths in the checkout.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The checkout that this xtask was built from.
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The parent directory of the crate xtask.
    pub fn locate() -> Self {
        let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self {
            root: xtask.parent().unwrap_or(xtask).to_path_buf(),
        }
    }

    /// The directory with the Cargo.toml of the workspace.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The target directory, always inside the checkout. The causeway binary searches the XDP object in its own and its
    /// parent directory, so `CARGO_TARGET_DIR` must not separate them.
    pub fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// The target directory of the XDP program, a separate Cargo workspace.
    pub fn ebpf_target(&self) -> PathBuf {
        self.target().join("ebpf")
    }

    pub fn ebpf_manifest(&self) -> PathBuf {
        self.root.join("xdp-ebpf/program/Cargo.toml")
    }

    /// The XDP object that the binary, the lab and the tests load.
    pub fn xdp_object(&self) -> PathBuf {
        self.target().join("causeway-xdp.o")
    }

    /// The BPF programs of `cargo xtask perf gateway`.
    pub fn load_object(&self) -> PathBuf {
        self.target().join("causeway-load.o")
    }

    /// The release build of the causeway binary.
    pub fn causeway(&self) -> PathBuf {
        self.target().join("release/causeway")
    }

    /// The directory of the aarch64 build.
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

/// All Rust files below a directory, sorted, without build output and hidden directories.
pub fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type()?.is_dir() {
            if name != "target" && !name.to_string_lossy().starts_with('.') {
                files.extend(rust_files(&path)?);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
