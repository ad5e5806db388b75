//! The XDP program's owner.
