//! The rule that `unsafe` stands only where the kernel's memory is touched.
//!
//! The compiler's own lint can be allowed anywhere by one attribute; this reads the words.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use proc_macro2::{TokenStream, TokenTree};

use crate::workspace::Workspace;

/// Where it may stand: the rings shared with the kernel, foreign functions, the XDP program.
const ALLOWED: [&str; 3] = ["userspace/device", "userspace/ipsec-mb", "xdp-ebpf"];

/// Reads every Rust file of the checkout.
pub fn check(workspace: &Workspace) -> Result<()> {
    let mut files = Vec::new();
    collect(workspace.root(), &mut files)?;
    let mut found = Vec::new();
    for file in files {
        let place = file.strip_prefix(workspace.root()).unwrap_or(&file);
        if ALLOWED.iter().any(|room| place.starts_with(room)) {
            continue;
        }
        let source =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let lines = unsafe_lines(&source).with_context(|| place.display().to_string())?;
        found.extend(
            lines
                .iter()
                .map(|line| format!("  {}:{line}", place.display())),
        );
    }
    if !found.is_empty() {
        bail!(
            "`unsafe` stands outside of {}:\n{}",
            ALLOWED.join(", "),
            found.join("\n")
        );
    }
    Ok(())
}

/// Every Rust file below a folder, but for build output and what git keeps for itself.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type()?.is_dir() {
            if name != "target" && !name.to_string_lossy().starts_with('.') {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// The lines on which the keyword stands; comments and strings do not count.
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
    fn the_keyword_is_found_wherever_it_stands() {
        let source =
            "fn a() {\n    unsafe { b() }\n}\n#[unsafe(no_mangle)]\nunsafe impl Send for A {}\n";
        assert_eq!(unsafe_lines(source).unwrap(), [2, 4, 5]);
        assert_eq!(unsafe_lines("m! { [ unsafe ] }").unwrap(), [1]);
    }

    #[test]
    fn the_word_in_comments_strings_and_names_is_not_the_keyword() {
        let source = "#![allow(unsafe_code)]\n//! unsafe\n/* unsafe /* unsafe */ */\n/// unsafe\n\
                      fn not_unsafe<'a>() { s(\"unsafe\", r#\"unsafe\"#, b\"unsafe\", 'u') }\n";
        assert_eq!(unsafe_lines(source).unwrap(), [0; 0]);
    }
}
