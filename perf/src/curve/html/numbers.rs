//! Numbers as text.

/// A number with `decimals` decimal places and commas between thousands.
pub fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "—".to_owned();
    }
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let sign = if value < 0.0 && text.contains(|digit: char| ('1'..='9').contains(&digit)) {
        "−"
    } else {
        ""
    };
    let mut grouped = String::new();
    for (at, digit) in whole.char_indices() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{fraction}")
}

/// A measured value with three or more digits.
pub fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        small if small < 10.0 => 2,
        middle if middle < 100.0 => 1,
        _ => 0,
    };
    number(value, decimals)
}

/// A mark of an axis, without trailing zeros.
pub fn mark(value: f64) -> String {
    let text = number(value, 2);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A part of 1 as a percentage.
pub fn percent(part: f64) -> String {
    format!("{} %", number(part * 100.0, 1))
}

/// A percentage without trailing zeros, for an axis.
pub fn percent_mark(part: f64) -> String {
    format!("{} %", mark(part * 100.0))
}

pub fn count(value: u64) -> String {
    number(value as f64, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        assert_eq!(number(1234567.891, 1), "1,234,567.9");
        assert_eq!(number(999.96, 1), "1,000.0");
        assert_eq!(number(-1234.0, 0), "−1,234");
        assert_eq!(number(-0.001, 1), "0.0");
        assert_eq!(number(f64::NAN, 1), "—");
    }

    #[test]
    fn figures_have_three_digits_or_more() {
        assert_eq!([0.5, 12.34, 4321.9].map(figure), ["0.50", "12.3", "4,322"]);
        assert_eq!([0.5, 20.0, 2.25].map(mark), ["0.5", "20", "2.25"]);
        assert_eq!(percent(0.9567), "95.7 %");
        assert_eq!(percent_mark(0.95), "95 %");
    }
}
