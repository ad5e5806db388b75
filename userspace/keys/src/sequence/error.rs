//! Errors of a reservation, with their remedies.

use std::io;
use std::path::PathBuf;

/// Sequence numbers cannot be reserved. No variant contains key material.
#[derive(Debug, thiserror::Error)]
pub enum SequenceError {
    /// The key file or its reservation cannot be opened, read or written.
    #[error("{action} {}: {error}", path.display())]
    Io {
        /// The failed action, such as `cannot write`.
        action: &'static str,
        path: PathBuf,
        error: io::Error,
    },
    /// The key file has no reservation.
    #[error(
        "{} is missing: the used numbers of this key are unknown, and a number that is used twice \
         breaks the encryption. Make a new key with `causeway key new` and copy it to the receiver \
         (only the sender has the .sequence file)",
        path.display()
    )]
    Missing { path: PathBuf },
    /// The reservation is not three decimal numbers, the first at least 1, a digest and a newline.
    #[error(
        "{} is damaged, or from an earlier version: expected three decimal numbers, the first at least 1, \
         the digest of the key and a newline. The used numbers of this key are unknown; make a new key with \
         `causeway key new`",
        path.display()
    )]
    Malformed { path: PathBuf },
    /// The reservation contains the identity of another file.
    #[error(
        "{} was copied, or restored from a backup: this key may have used more numbers since, and a \
         number that is used twice breaks the encryption. Make a new key with `causeway key new` and \
         copy it to the receiver",
        path.display()
    )]
    Restored { path: PathBuf },
    /// The reservation contains the digest of another key.
    #[error(
        "{} belongs to another key: the used numbers of this key are unknown, and a number that is used \
         twice breaks the encryption. Put the key's own .sequence file back, or make a new key with \
         `causeway key new`",
        path.display()
    )]
    OtherKey { path: PathBuf },
    /// The path no longer leads to the file of the last reservation.
    #[error(
        "{} was moved or replaced while its key is in use, so no more numbers are reserved. Make a new key \
         with `causeway key new` and install it with `causeway local sa`",
        path.display()
    )]
    Moved { path: PathBuf },
    /// Another process, or another SA of this process, has locked the key.
    #[error(
        "{} is in use by another process or SA; each outbound SA needs a key of its own",
        key_file.display()
    )]
    InUse { key_file: PathBuf },
    /// No number is left (RFC 4303 section 3.3.3).
    #[error(
        "the sequence numbers of {} are used up; make a new key with `causeway key new`",
        key_file.display()
    )]
    Exhausted { key_file: PathBuf },
}
