//! Files that are no trap for their reader, and files that must survive a crash of the machine.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Opens a regular file. Any other kind is refused without being read, and no writer of a FIFO is waited for.
///
/// # Errors
/// Those of the file system, or the path is a directory, a device, a FIFO or a socket.
pub fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let wait_for_nobody = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = options
        .custom_flags(wait_for_nobody.bits().cast_signed())
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("not a regular file"))
    }
}

/// Reads a regular file of at most `max` bytes.
///
/// # Errors
/// As for [`open_regular`], or the file is longer.
pub fn read_bounded(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(OpenOptions::new().read(true), path)?;
    let mut content = Vec::new();
    file.take(max + 1).read_to_end(&mut content)?;
    if content.len() as u64 > max {
        let message = format!("longer than {max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(content)
}

/// Flushes the directory of `path`, so that a new or renamed entry survives a crash of the machine.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

/// `path` with `suffix` appended to the file name.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}
