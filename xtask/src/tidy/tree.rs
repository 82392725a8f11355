//! The modules of a library or program: the file of each module, its definitions and its imports.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context as _, Result};
use syn::{Item, UseTree, Visibility, spanned::Spanned as _, visit::Visit};

use super::product::product;

/// A library or a program.
pub(crate) struct Target {
    /// The name that other crates use, for a library.
    pub(crate) name: String,
    pub(crate) modules: Modules,
}

/// The modules of one target, the root first.
pub(crate) struct Modules {
    pub(crate) list: Vec<Module>,
    by_path: HashMap<Vec<String>, usize>,
}

/// A module, in its own file or inside another module.
pub(crate) struct Module {
    /// The path from the root. That of the root is empty.
    pub(crate) path: Vec<String>,
    /// The file that contains it.
    pub(crate) file: String,
    /// Its items without those for tests.
    pub(crate) items: Vec<Item>,
    /// The names that it defines, without child modules.
    pub(crate) defines: BTreeSet<String>,
    /// The imported names.
    pub(crate) imports: BTreeMap<String, Import>,
    /// Glob imports: the modules whose names are all imported.
    pub(crate) globs: Vec<Vec<String>>,
}

/// One imported name.
#[derive(Clone)]
pub(crate) struct Import {
    pub(crate) path: Vec<String>,
    /// Whether other modules may import it from here: it is a re-export.
    pub(crate) public: bool,
    pub(crate) line: usize,
}

impl Modules {
    /// Reads the target whose root is this file.
    pub(crate) fn read(root: &str, texts: &HashMap<&str, &str>) -> Result<Self> {
        let mut reader = Reader { texts, list: Vec::new() };
        let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        reader.read_file(root, &folder, Vec::new())?;
        let by_path =
            reader.list.iter().enumerate().map(|(index, module)| (module.path.clone(), index)).collect();
        Ok(Self { list: reader.list, by_path })
    }

    /// The module with this path.
    pub(crate) fn get(&self, path: &[String]) -> Option<&Module> {
        self.by_path.get(path).map(|index| &self.list[*index])
    }
}

struct Reader<'a> {
    /// The text of every file, by the name of the file.
    texts: &'a HashMap<&'a str, &'a str>,
    list: Vec<Module>,
}

impl Reader<'_> {
    /// Reads the module of a file; `folder` contains the files of its child modules.
    fn read_file(&mut self, file: &str, folder: &str, path: Vec<String>) -> Result<()> {
        // Generated files are not read; their content is not known.
        let Some(text) = self.texts.get(file) else { return Ok(()) };
        let parsed = product(text).with_context(|| format!("cannot parse {file}"))?;
        self.read_items(file, folder, path, parsed.items)
    }

    fn read_items(&mut self, file: &str, folder: &str, path: Vec<String>, items: Vec<Item>) -> Result<()> {
        let mut module = Module {
            path: path.clone(),
            file: file.to_owned(),
            items: Vec::new(),
            defines: BTreeSet::new(),
            imports: BTreeMap::new(),
            globs: Vec::new(),
        };
        let (children, items): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|item| matches!(item, Item::Mod(_)));
        for item in &items {
            module.defines.extend(name_of(item));
            Imports(&mut module).visit_item(item);
        }
        module.items = items;
        self.list.push(module);
        for child in children {
            let Item::Mod(child) = child else { continue };
            let name = child.ident.to_string();
            let child_path = path.iter().cloned().chain([name.clone()]).collect::<Vec<_>>();
            let below = join(folder, &name);
            if let Some((_, items)) = child.content {
                self.read_items(file, &below, child_path, items)?;
            } else if let Some(elsewhere) = path_attribute(&child.attrs) {
                let base = file.rsplit_once('/').map_or("", |(folder, _)| folder);
                let elsewhere = join(base, &elsewhere);
                let folder = elsewhere.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
                self.read_file(&elsewhere, &folder, child_path)?;
            } else {
                for file in [format!("{below}.rs"), format!("{below}/mod.rs")] {
                    self.read_file(&file, &below, child_path.clone())?;
                }
            }
        }
        Ok(())
    }
}

/// Collects the imports of a module; those in a function count for its module.
struct Imports<'a>(&'a mut Module);

impl<'ast> Visit<'ast> for Imports<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let public = !matches!(item.vis, Visibility::Inherited);
        let mut path = Vec::new();
        if item.leading_colon.is_some() {
            path.push(String::new());
        }
        self.collect(&item.tree, &mut path, public);
    }
}

impl Imports<'_> {
    fn collect(&mut self, tree: &UseTree, path: &mut Vec<String>, public: bool) {
        let line = tree.span().start().line;
        let mut add = |name: String, path: Vec<String>| {
            self.0.imports.insert(name, Import { path, public, line });
        };
        match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.collect(&tree.tree, path, public);
                path.pop();
            }
            UseTree::Name(tree) if tree.ident == "self" => {
                add(path.last().cloned().unwrap_or_default(), path.clone());
            }
            UseTree::Name(tree) => {
                let full = path.iter().cloned().chain([tree.ident.to_string()]).collect();
                add(tree.ident.to_string(), full);
            }
            UseTree::Rename(tree) => {
                let mut full = path.clone();
                if tree.ident != "self" {
                    full.push(tree.ident.to_string());
                }
                // Several traits may be imported as `_`.
                let name = match tree.rename.to_string() {
                    anonymous if anonymous == "_" => format!("_{}", full.join("::")),
                    name => name,
                };
                add(name, full);
            }
            UseTree::Glob(_) => self.0.globs.push(path.clone()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.collect(tree, path, public)),
        }
    }
}

/// The name of an item in its module.
fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

fn path_attribute(attributes: &[syn::Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(value) if value.path.is_ident("path") => match &value.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

/// A path below a folder, without `.` and `..`.
fn join(folder: &str, path: &str) -> String {
    let mut parts = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
