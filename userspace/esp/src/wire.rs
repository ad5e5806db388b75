//! Lengths and code points of the ESP packet format.

/// Length of SPI and sequence number (RFC 4303 section 2), in bytes.
pub(crate) const ESP_LEN: usize = 8;
/// Length of the explicit IV in bytes (RFC 4106 section 3.1, RFC 7634 section 2).
pub(crate) const IV_LEN: usize = 8;
/// Length of the ICV in bytes (RFC 8221 section 5 requires the full 16).
pub(crate) const ICV_LEN: usize = 16;
/// Length of pad length and next header, in bytes.
pub(crate) const TRAILER_LEN: usize = 2;
/// Length of the salt at the end of the keying material, in bytes.
pub(crate) const SALT_LEN: usize = 4;
/// Length of the AEAD's nonce in bytes: salt and IV.
pub(crate) const NONCE_LEN: usize = SALT_LEN + IV_LEN;
/// Next header of a dummy packet (RFC 4303 section 2.6).
pub(crate) const NEXT_DUMMY: u8 = 59;
