//! Why sequence numbers cannot be reserved, and what to do.

use std::io;
use std::path::PathBuf;

/// Why sequence numbers cannot be reserved. No variant carries key material.
#[derive(Debug, thiserror::Error)]
pub enum SequenceError {
    /// The key file or its reservation cannot be opened, read or written.
    #[error("{action} {}: {error}", path.display())]
    Io {
        /// What was tried, such as `cannot write`.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// There is no reservation beside the key file.
    #[error(
        "{} is missing: the numbers that this key has used are unknown, and using one twice breaks \
         the encryption. Make a new key with `causeway key new` and copy it to the receiver \
         (only the sender has the .sequence file)",
        path.display()
    )]
    Missing {
        /// The file that is not there.
        path: PathBuf,
    },
    /// The reservation is not three decimal numbers, the first from 1 on, and a newline.
    #[error(
        "{} is damaged: expected three decimal numbers, the first from 1 on, and a newline. The \
         numbers that this key has used are unknown; make a new key with `causeway key new`",
        path.display()
    )]
    Malformed {
        /// The damaged file.
        path: PathBuf,
    },
    /// The reservation says that it is another file than it is.
    #[error(
        "{} was copied, or restored from a backup: it was written as another file, so the key may \
         have used more numbers since, and using one twice breaks the encryption. Make a new key \
         with `causeway key new` and copy it to the receiver",
        path.display()
    )]
    Restored {
        /// The file.
        path: PathBuf,
    },
    /// Another process, or another SA of this one, holds the key.
    #[error(
        "{} is in use by another process or SA; one key belongs to one outbound SA",
        key_file.display()
    )]
    InUse {
        /// The key file.
        key_file: PathBuf,
    },
    /// The counter would cycle (RFC 4303 section 3.3.3).
    #[error(
        "the sequence numbers of {} are used up; make a new key with `causeway key new`",
        key_file.display()
    )]
    Exhausted {
        /// The key file.
        key_file: PathBuf,
    },
}
