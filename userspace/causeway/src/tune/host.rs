//! The files by which a kernel tells of itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// `/proc` and `/sys` of a host, below a root directory.
#[derive(Debug, Clone)]
pub struct Host {
    root: PathBuf,
}

impl Host {
    /// This host.
    pub fn here() -> Self {
        Self::at("/")
    }

    /// The host whose `/` is this directory.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// A file's text without the blanks around it, if it can be read.
    pub fn read(&self, path: &str) -> Option<String> {
        let text = fs::read_to_string(self.place(path)).ok()?;
        Some(text.trim().to_owned())
    }

    /// The names in a directory, sorted; none if it cannot be read.
    pub fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.place(directory)).into_iter().flatten();
        let mut names: Vec<_> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        names
    }

    /// The last part of what a symbolic link points at, such as the driver's name of
    /// `/sys/class/net/eth0/device/driver`.
    pub fn target(&self, link: &str) -> Option<String> {
        let target = fs::read_link(self.place(link)).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }

    /// Writes a setting.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn write(&self, path: &str, value: &str) -> io::Result<()> {
        // One write without creating anything, as `echo` does where the file is there.
        let mut file = fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(self.place(path))?;
        io::Write::write_all(&mut file, format!("{value}\n").as_bytes())
    }

    /// Whether the CPU says that a hypervisor runs it.
    pub fn is_virtual(&self) -> bool {
        let flagged = self.read("/proc/cpuinfo").is_some_and(|text| {
            text.lines()
                .filter(|line| line.starts_with("flags"))
                .any(|line| line.split_whitespace().any(|flag| flag == "hypervisor"))
        });
        flagged || self.read("/sys/hypervisor/type").is_some()
    }

    fn place(&self, path: &str) -> PathBuf {
        self.root
            .join(Path::new(path).strip_prefix("/").unwrap_or(Path::new(path)))
    }
}
