//! The lengths that all supported AEADs have in common.

/// Length of the nonce in bytes.
pub const NONCE_LEN: usize = 12;
/// Length of the tag in bytes.
pub const ICV_LEN: usize = 16;
