//! The modules of one crate as its source files declare them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use proc_macro2::{TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta, Token, UseTree, Visibility};

/// A path as it is written, by its segments.
pub type Segments = Vec<String>;

/// One module, in a file or inline. Code under `#[cfg(test)]` and `#[test]` is left out.
#[derive(Default)]
pub struct Module {
    pub file: PathBuf,
    pub parent: Option<usize>,
    pub children: BTreeMap<String, usize>,
    /// Names of the items that this module defines.
    pub items: BTreeSet<String>,
    pub uses: Vec<Use>,
    /// Paths in signatures, bodies and macro calls, with their lines.
    pub paths: Vec<(Segments, usize)>,
}

/// One leaf of a `use` declaration.
pub struct Use {
    pub path: Segments,
    /// The name that it brings into scope; none for a glob.
    pub alias: Option<String>,
    /// Whether it is a re-export, `pub` or `pub(..)`.
    pub is_public: bool,
    pub line: usize,
}

/// The modules of one crate; the first is its root.
#[derive(Default)]
pub struct Modules {
    pub all: Vec<Module>,
    /// Lines of each file that are compiled outside of tests.
    pub lines: BTreeMap<PathBuf, usize>,
}

/// Gives the text of a file, or fails if there is none.
type Source<'a> = &'a dyn Fn(&Path) -> Result<String>;

impl Modules {
    /// Reads a crate from its root file.
    pub fn read(root: &Path, source: Source) -> Result<Self> {
        let mut modules = Self::default();
        let folder = root.parent().unwrap_or(Path::new(""));
        modules.file(root, folder, None, source)?;
        Ok(modules)
    }

    /// Reads a file whose submodules lie in `folder`.
    fn file(
        &mut self,
        file: &Path,
        folder: &Path,
        parent: Option<usize>,
        source: Source,
    ) -> Result<usize> {
        let text = source(file)?;
        let syntax =
            syn::parse_file(&text).map_err(|error| anyhow!("{}: {error}", file.display()))?;
        let lines = text.lines().count() - test_lines(&syntax.items);
        self.lines.insert(file.to_path_buf(), lines);
        self.module(&syntax.items, file, folder, parent, source)
    }

    fn module(
        &mut self,
        items: &[Item],
        file: &Path,
        folder: &Path,
        parent: Option<usize>,
        source: Source,
    ) -> Result<usize> {
        let id = self.all.len();
        let mut module = Module {
            file: file.to_path_buf(),
            parent,
            ..Module::default()
        };
        self.all.push(Module::default());
        for item in items {
            match item {
                Item::Mod(child) if is_test(&child.attrs) => {}
                Item::Mod(child) => {
                    let name = child.ident.to_string();
                    let inner = folder.join(&name);
                    let child = match &child.content {
                        Some((_, items)) => self.module(items, file, &inner, Some(id), source)?,
                        // The file of `#[path]` is another package's: a module without content.
                        None if child.attrs.iter().any(|it| it.path().is_ident("path")) => {
                            self.module(&[], Path::new(""), folder, Some(id), source)?
                        }
                        None => {
                            let flat = folder.join(format!("{name}.rs"));
                            let is_flat = source(&flat).is_ok();
                            let path = if is_flat { flat } else { inner.join("mod.rs") };
                            self.file(&path, &inner, Some(id), source)?
                        }
                    };
                    module.children.insert(name, child);
                }
                item => {
                    module.visit_item(item);
                    module.items.extend(name(item));
                }
            }
        }
        self.all[id] = module;
        Ok(id)
    }
}

/// Collects `use` declarations and paths at any depth.
impl<'a> Visit<'a> for Module {
    fn visit_item(&mut self, item: &'a Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'a syn::ImplItem) {
        let is_test = match item {
            syn::ImplItem::Fn(function) => is_test(&function.attrs),
            syn::ImplItem::Const(constant) => is_test(&constant.attrs),
            _ => false,
        };
        if !is_test {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_attribute(&mut self, _: &'a Attribute) {}

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        // A path of another crate that begins with `::` resolves to nothing.
        let start = item.leading_colon.map(|_| String::new());
        let is_public = !matches!(item.vis, Visibility::Inherited);
        let start = start.into_iter().collect();
        leaves(&item.tree, start, is_public, &mut self.uses);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let segments = path.segments.iter().map(|part| part.ident.to_string());
        let start = path.leading_colon.map(|_| String::new());
        let line = path.span().start().line;
        self.paths
            .push((start.into_iter().chain(segments).collect(), line));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        self.visit_path(&call.path);
        tokens(call.tokens.clone(), &mut self.paths);
    }
}

/// The paths among a macro's tokens. Field and method names are no paths.
fn tokens(stream: TokenStream, paths: &mut Vec<(Segments, usize)>) {
    let mut path: Option<(Segments, usize)> = None;
    let (mut colons, mut after_dot) = (0, false);
    for token in stream {
        match token {
            TokenTree::Ident(word) if colons == 2 && path.is_some() => {
                if let Some((segments, _)) = &mut path {
                    segments.push(word.to_string());
                }
                colons = 0;
                continue;
            }
            TokenTree::Punct(mark) if mark.as_char() == ':' => {
                colons += 1;
                continue;
            }
            TokenTree::Ident(word) if !after_dot => {
                paths.extend(path.take());
                path = Some((vec![word.to_string()], word.span().start().line));
            }
            TokenTree::Group(group) => {
                paths.extend(path.take());
                tokens(group.stream(), paths);
            }
            TokenTree::Punct(mark) => {
                paths.extend(path.take());
                after_dot = mark.as_char() == '.';
                colons = 0;
                continue;
            }
            TokenTree::Ident(_) | TokenTree::Literal(_) => paths.extend(path.take()),
        }
        (colons, after_dot) = (0, false);
    }
    paths.extend(path);
}

fn leaves(tree: &UseTree, mut path: Segments, is_public: bool, uses: &mut Vec<Use>) {
    let line = tree.span().start().line;
    let alias = match tree {
        UseTree::Path(part) => {
            path.push(part.ident.to_string());
            return leaves(&part.tree, path, is_public, uses);
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                leaves(tree, path.clone(), is_public, uses);
            }
            return;
        }
        UseTree::Name(name) if name.ident == "self" => path.last().cloned(),
        UseTree::Name(name) => {
            path.push(name.ident.to_string());
            path.last().cloned()
        }
        UseTree::Rename(name) => {
            if name.ident != "self" {
                path.push(name.ident.to_string());
            }
            Some(name.rename.to_string())
        }
        UseTree::Glob(_) => None,
    };
    uses.push(Use {
        path,
        alias,
        is_public,
        line,
    });
}

fn test_lines(items: &[Item]) -> usize {
    let tests = items.iter().filter(|item| is_test(attributes(item)));
    let lines = |item: &Item| item.span().end().line + 1 - item.span().start().line;
    tests.map(lines).sum()
}

/// Whether the attributes restrict an item to tests.
fn is_test(attributes: &[Attribute]) -> bool {
    fn requires_test(meta: &Meta) -> bool {
        let nested = |list: &syn::MetaList| {
            list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
                .is_ok_and(|nested| nested.iter().any(requires_test))
        };
        match meta {
            Meta::Path(path) => path.is_ident("test"),
            Meta::List(list) => {
                (list.path.is_ident("cfg") || list.path.is_ident("all")) && nested(list)
            }
            Meta::NameValue(_) => false,
        }
    }
    attributes
        .iter()
        .any(|attribute| requires_test(&attribute.meta))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}
