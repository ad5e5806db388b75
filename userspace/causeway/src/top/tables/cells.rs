//! Cells that several tables have.

use crate::top::figures::{or_unknown, short};
use crate::top::table::{Cell, Tone};

/// The number by which all tables name a role.
pub fn role_number(index: usize) -> String {
    (index + 1).to_string()
}

/// Drops per second; a warning above 0.
pub fn drop_rate(rate: Option<f64>) -> Cell {
    let text = or_unknown(rate, short);
    match rate {
        Some(rate) if rate > 0.0 => Cell::new(text, Tone::Warn),
        _ => text.into(),
    }
}
