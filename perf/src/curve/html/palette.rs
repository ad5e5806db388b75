//! Colours that can be distinguished on a light and a dark page, and with colour blindness.

use std::fmt::Write;

use plotters::style::RGBColor;

/// A colour on a light page, as written in the drawings, and its replacement on a dark page by the page's style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    light: (u8, u8, u8),
    dark: (u8, u8, u8),
}

const fn colour(light: (u8, u8, u8), dark: (u8, u8, u8)) -> Colour {
    Colour { light, dark }
}

/// The background, which also separates adjacent areas.
pub const PAGE: Colour = colour((255, 255, 255), (20, 23, 26));
/// Text and axes.
pub const INK: Colour = colour((31, 36, 40), (226, 230, 234));
/// Grid lines.
pub const GRID: Colour = colour((222, 226, 230), (52, 58, 64));
/// Measured values.
pub const MEASURED: Colour = SERIES[0];
/// The ideal and other fixed values.
pub const IDEAL: Colour = colour((122, 122, 122), (160, 160, 160));
pub const REFERENCE: Colour = SERIES[1];
/// Idle time.
pub const IDLE: Colour = colour((206, 210, 214), (66, 72, 78));

/// Colours of series. Any two of them differ in normal sight and in each of the three dichromacies.
pub const SERIES: [Colour; 6] = [
    colour((33, 88, 216), (80, 136, 224)),
    colour((156, 47, 16), (238, 96, 64)),
    colour((62, 158, 98), (92, 224, 152)),
    colour((217, 91, 184), (248, 176, 236)),
    colour((178, 138, 16), (232, 232, 120)),
    colour((36, 21, 90), (142, 76, 244)),
];

const OTHERS: [Colour; 5] = [PAGE, INK, GRID, IDEAL, IDLE];

impl Colour {
    /// The colour in the drawings.
    pub fn drawn(self) -> RGBColor {
        let (red, green, blue) = self.light;
        RGBColor(red, green, blue)
    }
}

/// CSS rules that replace the drawn colours with the dark ones.
pub fn dark_rules() -> String {
    let hex = |(red, green, blue): (u8, u8, u8)| format!("#{red:02X}{green:02X}{blue:02X}");
    let mut rules = String::new();
    for colour in SERIES.iter().chain(&OTHERS) {
        let (light, dark) = (hex(colour.light), hex(colour.dark));
        for attribute in ["fill", "stroke"] {
            let _ = writeln!(
                rules,
                "svg [{attribute}=\"{light}\"] {{ {attribute}: {dark} }}"
            );
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance (WCAG 2.2).
    fn luminance((red, green, blue): (u8, u8, u8)) -> f64 {
        let linear = |channel: u8| {
            let channel = f64::from(channel) / 255.0;
            match channel <= 0.04045 {
                true => channel / 12.92,
                false => ((channel + 0.055) / 1.055).powf(2.4),
            }
        };
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }

    fn contrast(one: (u8, u8, u8), other: (u8, u8, u8)) -> f64 {
        let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
        one.max(other) / one.min(other)
    }

    /// Success criteria 1.4.11 and 1.4.3 of WCAG 2.2.
    #[test]
    fn all_colours_contrast_with_the_page() {
        for colour in SERIES.iter().chain([&IDEAL]) {
            assert!(contrast(colour.light, PAGE.light) >= 3.0, "{colour:?}");
            assert!(contrast(colour.dark, PAGE.dark) >= 3.0, "{colour:?}");
        }
        assert!(contrast(INK.light, PAGE.light) >= 4.5);
        assert!(contrast(INK.dark, PAGE.dark) >= 4.5);
    }

    /// The CSS rules identify a colour by its light form.
    #[test]
    fn each_colour_has_a_unique_light_form() {
        let all: Vec<_> = SERIES.iter().chain(&OTHERS).collect();
        for (at, one) in all.iter().enumerate() {
            assert!(all[..at].iter().all(|other| other.light != one.light));
        }
    }
}
