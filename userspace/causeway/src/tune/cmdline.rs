//! The kernel's command line.

/// The value of a parameter in the text of `/proc/cmdline`. The last one counts, as in the kernel.
/// Blanks in double quotes do not separate, and text after ` -- ` is for init.
pub fn value<'a>(text: &'a str, parameter: &str) -> Option<&'a str> {
    let mut found = None;
    for word in words(text) {
        if word == "--" {
            break;
        }
        let Some((name, value)) = word.trim_matches('"').split_once('=') else {
            continue;
        };
        if name == parameter {
            found = Some(value.trim_matches('"'));
        }
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c: char| {
        quoted ^= c == '"';
        c.is_ascii_whitespace() && !quoted
    })
    .filter(|word| !word.is_empty())
}
