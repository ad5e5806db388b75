//! Checks that `unsafe` occurs only in the crates that share memory with the kernel or call foreign code.
//!
//! An attribute can disable the compiler's lint in any file. This check reads the tokens instead.

use std::fs;

use anyhow::{Context, Result, anyhow, bail};
use proc_macro2::{TokenStream, TokenTree};

use crate::workspace::{self, Workspace};

/// The directories where `unsafe` is allowed.
const ALLOWED: [&str; 3] = ["userspace/device", "userspace/ipsec-mb", "xdp-ebpf"];

/// Fails if another Rust file of the checkout contains `unsafe`.
pub fn check(workspace: &Workspace) -> Result<()> {
    let mut found = Vec::new();
    for file in workspace::rust_files(workspace.root())? {
        let name = file.strip_prefix(workspace.root()).unwrap_or(&file);
        if ALLOWED.iter().any(|allowed| name.starts_with(allowed)) {
            continue;
        }
        let source =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let lines = unsafe_lines(&source).with_context(|| name.display().to_string())?;
        found.extend(
            lines
                .iter()
                .map(|line| format!("  {}:{line}", name.display())),
        );
    }
    if !found.is_empty() {
        bail!(
            "`unsafe` is allowed only in {}, but occurs in:\n{}",
            ALLOWED.join(", "),
            found.join("\n")
        );
    }
    Ok(())
}

/// The lines with the keyword, outside of comments and strings.
fn unsafe_lines(source: &str) -> Result<Vec<usize>> {
    let tokens: TokenStream = source.parse().map_err(|error| anyhow!("{error}"))?;
    let mut lines = Vec::new();
    walk(tokens, &mut lines);
    Ok(lines)
}

fn walk(tokens: TokenStream, lines: &mut Vec<usize>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => walk(group.stream(), lines),
            TokenTree::Ident(word) if word == "unsafe" => lines.push(word.span().start().line),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keyword_is_found() {
        let source =
            "fn a() {\n    unsafe { b() }\n}\n#[unsafe(no_mangle)]\nunsafe impl Send for A {}\n";
        assert_eq!(unsafe_lines(source).unwrap(), [2, 4, 5]);
        assert_eq!(unsafe_lines("m! { [ unsafe ] }").unwrap(), [1]);
    }

    #[test]
    fn comments_strings_and_longer_names_do_not_count() {
        let source = "#![allow(unsafe_code)]\n//! unsafe\n/* unsafe /* unsafe */ */\n/// unsafe\n\
                      fn not_unsafe<'a>() { s(\"unsafe\", r#\"unsafe\"#, b\"unsafe\", 'u') }\n";
        assert_eq!(unsafe_lines(source).unwrap(), [0; 0]);
    }
}
