//! The kernel's files in `/proc` and `/sys`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A host's `/proc` and `/sys`, below a root directory.
#[derive(Debug, Clone)]
pub struct Host {
    root: PathBuf,
}

impl Host {
    pub fn here() -> Self {
        Self::at("/")
    }

    /// The host whose `/` is this directory.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The trimmed text of a file; `None` if it cannot be read.
    pub fn read(&self, path: &str) -> Option<String> {
        let text = fs::read_to_string(self.path(path)).ok()?;
        Some(text.trim().to_owned())
    }

    /// The sorted names in a directory; empty if it cannot be read.
    pub fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).into_iter().flatten();
        let mut names: Vec<_> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        names
    }

    /// The file name of a symbolic link's target, such as the driver's name of
    /// `/sys/class/net/eth0/device/driver`.
    pub fn target(&self, link: &str) -> Option<String> {
        let target = fs::read_link(self.path(link)).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }

    /// # Errors
    /// The kernel refuses the value.
    pub fn write(&self, path: &str, value: &str) -> io::Result<()> {
        // One write and no new file, as `echo` writes to an existing file.
        let mut file = fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(self.path(path))?;
        io::Write::write_all(&mut file, format!("{value}\n").as_bytes())
    }

    /// Whether this host is a virtual machine.
    pub fn is_virtual(&self) -> bool {
        let flagged = self.read("/proc/cpuinfo").is_some_and(|text| {
            text.lines()
                .filter(|line| line.starts_with("flags"))
                .any(|line| line.split_whitespace().any(|flag| flag == "hypervisor"))
        });
        flagged || self.read("/sys/hypervisor/type").is_some()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root
            .join(Path::new(path).strip_prefix("/").unwrap_or(Path::new(path)))
    }
}
