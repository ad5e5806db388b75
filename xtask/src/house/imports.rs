//! Which file of a crate imports which: resolves `use` declarations and paths.
//!
//! The graph's nodes are source files; an inline module belongs to its file. File A imports file B when code of A,
//! outside of tests, names an item that B defines: by a `use`, or by a path in a signature, a body or a macro call.
//! - A name is followed through re-exports and aliases to the file that defines it. A parent that only declares and
//!   re-exports its children therefore takes part in no circle.
//! - `mod` declarations are no imports. A re-export of a module's own descendant is none either, until the module's code
//!   uses that name. Any other `use` is an import.
//! - A parent that uses an item of its child imports the child. A child that uses an item of its parent imports the parent.
//! - A glob imports the file of the module that it names, if that module defines an item.
//! - Method calls, fields, and paths in strings (serde's `with`) are not seen: they need types.
//! - A name of a module that is not found there, since a macro makes it, counts as defined by that module.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::house::modules::{Modules, Segments};

/// Importing and imported file, with one place that shows the import.
pub type Imports = BTreeMap<(PathBuf, PathBuf), Place>;

/// A line of the importing file and the path on it.
pub type Place = (usize, String);

/// The imports between files of one crate.
pub fn imports(modules: &Modules) -> Imports {
    let mut found = Imports::new();
    for (id, module) in modules.all.iter().enumerate() {
        let mut add = |target: usize, line: usize, path: &Segments| {
            let to = &modules.all[target].file;
            if *to != module.file {
                found
                    .entry((module.file.clone(), to.clone()))
                    .or_insert_with(|| (line, path.join("::")));
            }
        };
        for import in &module.uses {
            let targets = resolve(modules, id, &import.path, 0);
            for target in targets {
                let (target, counts) = match target {
                    Target::Item(target) => (target, true),
                    Target::Module(target) => {
                        let is_glob = import.alias.is_none();
                        (target, is_glob && !modules.all[target].items.is_empty())
                    }
                };
                if counts && !(import.is_public && is_within(modules, target, id)) {
                    add(target, import.line, &import.path);
                }
            }
        }
        for (path, line) in &module.paths {
            for target in resolve(modules, id, path, 0)
                .iter()
                .filter_map(Target::item)
            {
                add(target, *line, path);
            }
        }
    }
    found
}

/// The meaning of a path.
#[derive(Clone, Copy)]
enum Target {
    Module(usize),
    /// An item, or a part of one, by the module that defines it.
    Item(usize),
}

impl Target {
    fn item(&self) -> Option<usize> {
        match *self {
            Self::Item(module) => Some(module),
            Self::Module(_) => None,
        }
    }

    fn module(&self) -> Option<usize> {
        match *self {
            Self::Module(module) => Some(module),
            Self::Item(_) => None,
        }
    }
}

/// A chain of re-exports that is longer than this is taken to be endless.
const MAX_DEPTH: usize = 8;

/// Resolves a path that module `from` writes. Gives nothing for names of other crates and of local variables.
fn resolve(modules: &Modules, from: usize, path: &[String], depth: usize) -> Vec<Target> {
    let Some((first, mut rest)) = path.split_first() else {
        return Vec::new();
    };
    let mut targets = match first.as_str() {
        "crate" => vec![Target::Module(0)],
        "self" if !rest.is_empty() => vec![Target::Module(from)],
        "super" => {
            let mut module = modules.all[from].parent;
            while let Some((_, after)) = rest.split_first().filter(|(part, _)| *part == "super") {
                module = module.and_then(|module| modules.all[module].parent);
                rest = after;
            }
            module.map(Target::Module).into_iter().collect()
        }
        name => lookup(modules, from, name, depth),
    };
    for name in rest {
        let is_module = |target: &Target| target.module().is_some();
        if !targets.iter().any(is_module) {
            return targets; // An enum's variant, a type's function.
        }
        targets = targets
            .iter()
            .filter_map(Target::module)
            .flat_map(|module| match lookup(modules, module, name, depth) {
                found if found.is_empty() => vec![Target::Item(module)],
                found => found,
            })
            .collect();
    }
    targets
}

/// All meanings of a name in a module: an item, a child module, or an import.
fn lookup(modules: &Modules, module: usize, name: &str, depth: usize) -> Vec<Target> {
    let here = &modules.all[module];
    let mut targets = Vec::new();
    targets.extend(here.items.contains(name).then_some(Target::Item(module)));
    targets.extend(here.children.get(name).map(|&child| Target::Module(child)));
    if depth == MAX_DEPTH {
        return targets;
    }
    for import in &here.uses {
        if import.alias.as_deref() == Some(name) {
            targets.extend(resolve(modules, module, &import.path, depth + 1));
        }
    }
    if targets.is_empty() {
        for glob in here.uses.iter().filter(|import| import.alias.is_none()) {
            for target in resolve(modules, module, &glob.path, depth + 1) {
                let Some(target) = target.module().filter(|&target| target != module) else {
                    continue;
                };
                targets.extend(lookup(modules, target, name, depth + 1));
            }
        }
    }
    targets
}

fn is_within(modules: &Modules, mut module: usize, ancestor: usize) -> bool {
    while module != ancestor {
        match modules.all[module].parent {
            Some(parent) => module = parent,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use anyhow::Context;

    use super::*;

    /// The imports of a crate of a few files, as `from -> to`.
    fn imports_of(files: &[(&str, &str)]) -> Vec<String> {
        let source = |file: &Path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == file);
            found
                .map(|(_, text)| (*text).to_owned())
                .context("no such file")
        };
        let modules = Modules::read(Path::new("lib.rs"), &source).unwrap();
        let pairs = imports(&modules).into_keys();
        pairs
            .map(|(from, to)| format!("{} -> {}", from.display(), to.display()))
            .collect()
    }

    #[test]
    fn a_name_is_followed_to_the_file_that_defines_it() {
        let files = [
            ("lib.rs", "mod a; mod b; mod c; pub use a::A; pub use c::*;"),
            ("a.rs", "pub struct A;"),
            ("b.rs", "use crate::A; fn f() -> crate::d::D { crate::C }"),
            ("c.rs", "pub mod d; pub use d::D as C;"),
            ("c/d.rs", "pub struct D;"),
        ];
        assert_eq!(imports_of(&files), ["b.rs -> a.rs", "b.rs -> c/d.rs"]);
    }

    #[test]
    fn a_parent_that_only_re_exports_imports_nothing() {
        let child = ("a.rs", "use super::Shared; pub struct A;");
        let plain = [("lib.rs", "mod a; pub use a::A; pub struct Shared;"), child];
        assert_eq!(imports_of(&plain), ["a.rs -> lib.rs"]);
        let uses = [
            ("lib.rs", "mod a; pub use a::A; pub struct Shared(A);"),
            child,
        ];
        assert_eq!(imports_of(&uses), ["a.rs -> lib.rs", "lib.rs -> a.rs"]);
    }

    #[test]
    fn paths_count_wherever_code_has_them() {
        for code in [
            "use crate::b::B;",
            "use crate::b::{self, B};",
            "use super::b::*;",
            "use super::b; fn f() { b::f(); }",
            "fn f(_: &crate::b::B) {}",
            "fn f() { use super::b::B; }",
            "fn f() { g!(1, self.x, crate::b::B); }",
            "mod inline { fn f() { super::super::b::f() } }",
            "impl<T: crate::b::T> X for T {}",
            "use crate::b as other; type X = other::MadeByAMacro;",
        ] {
            let files = [
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", code),
                ("b.rs", "pub struct B; pub fn f() {}"),
            ];
            assert_eq!(imports_of(&files), ["a.rs -> b.rs"], "{code}");
        }
    }

    #[test]
    fn tests_other_crates_and_names_alone_do_not_count() {
        for code in [
            "#[cfg(test)] mod tests { use crate::b::B; }",
            "#[cfg(all(test, unix))] use crate::b::B;",
            "impl X { #[cfg(test)] fn f() { crate::b::f() } }",
            "#[test] fn f() { crate::b::f() }",
            "use other::b::B;",
            "use ::b::B;",
            "use crate::b;",
            "/// [`crate::b::B`]\nfn f(b: u8) { b.f(); }",
            "fn f() { g!(x.f, \"crate::b::f\"); }",
            "pub(in crate::b) fn f() {}",
        ] {
            let files = [
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", code),
                ("b.rs", "pub struct B; pub fn f() {}"),
            ];
            assert_eq!(imports_of(&files), [""; 0], "{code}");
        }
    }
}
