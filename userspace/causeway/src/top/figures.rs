//! Numbers with three digits and a unit.

/// Printed instead of an unknown value.
pub const UNKNOWN: &str = "-";

/// A number with three digits and k, M, G or T, such as `1.24M`.
pub fn short(value: f64) -> String {
    let (value, unit) = scaled(value, &["", "k", "M", "G", "T"], 1000.0);
    match unit {
        "" if value.fract() == 0.0 => format!("{value:.0}"),
        "" if value < 99.5 => format!("{value:.1}"),
        "" => format!("{value:.0}"),
        _ => format!("{}{unit}", digits(value)),
    }
}

/// A duration with three digits and its unit, such as `1.24us`.
pub fn time(nanoseconds: f64) -> String {
    let (value, unit) = scaled(nanoseconds, &["ns", "us", "ms", "s"], 1000.0);
    match unit {
        "ns" => format!("{value:.0}ns"),
        _ => format!("{}{unit}", digits(value)),
    }
}

/// A share of 1 as a percentage.
pub fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

/// A duration in whole units, such as `3m`.
pub fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The value as `print` writes it, or [`UNKNOWN`].
pub fn or_unknown<T>(value: Option<T>, print: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), print)
}

/// The sum. It saturates, because the counts may come from any server at an endpoint.
pub fn sum(counts: impl IntoIterator<Item = u64>) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

/// Bars as high as their numbers, relative to the highest.
pub fn bars(values: &[u64]) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.iter().copied().max().unwrap_or(0);
    let bar = |&value: &u64| match (value, most) {
        (0, _) => ' ',
        // Rounded up, so that a small value is visible.
        (value, most) => HEIGHTS[(value as f64 * 7.0 / most as f64).ceil() as usize],
    };
    values.iter().map(bar).collect()
}

fn digits(value: f64) -> String {
    match value {
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// The value in the largest of the units, each `step` times the one before, in which it is at least 1.
fn scaled<'a>(mut value: f64, units: &[&'a str], step: f64) -> (f64, &'a str) {
    let (last, others) = units.split_last().expect("at least one unit");
    for unit in others {
        // A value that would be printed as 1000 becomes 1 of the next unit.
        if value < step - 0.5 {
            return (value, unit);
        }
        value /= step;
    }
    (value, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        for (value, printed) in [
            (0.0, "0"),
            (0.04, "0.0"),
            (7.0, "7"),
            (7.25, "7.2"),
            (123.4, "123"),
            (999.4, "999"),
            (999.6, "1.00k"),
            (8_000.0, "8.00k"),
            (12_345.0, "12.3k"),
            (999_499.0, "999k"),
            (999_501.0, "1.00M"),
            (1_240_000.0, "1.24M"),
            (48e9, "48.0G"),
            (5e15, "5000T"),
        ] {
            assert_eq!(short(value), printed, "{value}");
        }
        for (nanoseconds, printed) in [
            (0.0, "0ns"),
            (72.4, "72ns"),
            (1_240.0, "1.24us"),
            (999_999.0, "1.00ms"),
            (2.5e9, "2.50s"),
        ] {
            assert_eq!(time(nanoseconds), printed, "{nanoseconds}");
        }
        assert_eq!(
            [0, 119, 120, 7_199, 7_200, 200_000].map(age),
            ["0s", "119s", "2m", "119m", "2h", "2d"]
        );
        assert_eq!(
            (percent(0.374), percent(1.0)),
            ("37%".into(), "100%".into())
        );
    }

    #[test]
    fn every_value_above_0_has_a_bar() {
        assert_eq!(bars(&[0, 1, 500, 1000]), " ▂▅█");
        assert_eq!(bars(&[0, 0]), "  ");
    }
}
