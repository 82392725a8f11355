//! Files of a target do not import each other in a circle.
//!
//! A file imports another if a path in it leads to an item of that file, possibly through
//! re-exports, or if a method calls one of the same type that the other file defines. A module that
//! re-exports the names of its children (`pub use`) does not import them: this is a table of
//! contents.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use syn::visit::Visit;

use super::{
    finding::{Finding, Rule},
    resolve::{Kind, Place, mentions},
    source::Workspace,
    tree::{Module, Modules},
};

/// For each file, the files that it imports, with a line and the imported name.
type Graph = BTreeMap<String, BTreeMap<String, (usize, String)>>;

/// Reports every file that is part of a circle.
pub(crate) fn check(workspace: &Workspace, findings: &mut Vec<Finding>) {
    for target in &workspace.targets {
        let graph = graph(&target.modules);
        for circle in circles(&graph) {
            for file in &circle {
                let (to, (line, name)) = within(&graph, &circle, file).next().expect("a circle goes on");
                let message = format!(
                    "imports `{name}` of {to} in a circle of {} files that import each other",
                    circle.len()
                );
                findings.push(Finding { file: file.clone(), line: *line, rule: Rule::Circle, message });
            }
        }
    }
}

/// The circles, for people.
pub(crate) fn describe(workspace: &Workspace) -> String {
    let mut text = String::new();
    let mut count = 0;
    for target in &workspace.targets {
        let graph = graph(&target.modules);
        for circle in circles(&graph) {
            count += 1;
            let _ = writeln!(text, "{}: a circle of {} files", target.name, circle.len());
            for file in &circle {
                for (to, (line, name)) in within(&graph, &circle, file) {
                    let _ = writeln!(text, "  {file}:{line} imports `{name}` of {to}");
                }
            }
        }
    }
    let _ = writeln!(text, "{count} circles");
    text
}

fn within<'a>(
    graph: &'a Graph,
    circle: &'a BTreeSet<String>,
    file: &str,
) -> impl Iterator<Item = (&'a String, &'a (usize, String))> {
    graph.get(file).into_iter().flatten().filter(|(to, _)| circle.contains(*to))
}

/// The imports of each file.
fn graph(modules: &Modules) -> Graph {
    let mut graph = Graph::new();
    let methods = methods(modules);
    for module in &modules.list {
        let mut add = |file: &str, line: usize, name: String| {
            let edges = graph.entry(module.file.clone()).or_default();
            if file != module.file {
                edges.entry(file.to_owned()).or_insert((line, name));
            }
        };
        let item_in = |path: &[String]| match modules.resolve(module, path)? {
            Place::Item(module, name) => Some((modules.get(&module)?.file.as_str(), name)),
            Place::Module(_) | Place::Elsewhere(_) => None,
        };
        for import in module.imports.values().filter(|import| !import.public) {
            if let Some((file, name)) = item_in(&import.path) {
                add(file, import.line, name);
            }
        }
        for item in &module.items {
            let of = type_of(modules, module, item);
            let method = |name: &String| {
                let of = of.as_ref()?;
                let file = methods.get(&(of.clone(), name.clone()))?;
                Some((file.as_str(), format!("{}::{name}", of.1)))
            };
            for mention in mentions(item) {
                let found = match &mention.kind {
                    Kind::Path(path) if path.len() == 2 && path[0] == "Self" => method(&path[1]),
                    Kind::Path(path) => item_in(path),
                    Kind::Method { name, on_self: true, .. } => method(name),
                    Kind::Method { .. } | Kind::Await => None,
                };
                if let Some((file, name)) = found {
                    add(file, mention.line, name);
                }
            }
        }
    }
    graph
}

/// A type of the target: the path of its module, and its name.
type TypeName = (Vec<String>, String);

/// The type that an `impl` block is for.
fn type_of(modules: &Modules, module: &Module, item: &syn::Item) -> Option<TypeName> {
    let syn::Item::Impl(block) = item else { return None };
    let syn::Type::Path(of) = &*block.self_ty else { return None };
    let path = of.path.segments.iter().map(|segment| segment.ident.to_string()).collect::<Vec<_>>();
    match modules.resolve(module, &path)? {
        Place::Item(module, name) => Some((module, name)),
        Place::Module(_) | Place::Elsewhere(_) => None,
    }
}

/// The file that defines each inherent method of each type.
fn methods(modules: &Modules) -> BTreeMap<(TypeName, String), String> {
    struct Names(Vec<String>);
    impl<'ast> Visit<'ast> for Names {
        fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
            self.0.push(item.sig.ident.to_string());
        }
    }
    let mut methods = BTreeMap::new();
    for module in &modules.list {
        for item in &module.items {
            let syn::Item::Impl(block) = item else { continue };
            if block.trait_.is_some() {
                continue;
            }
            let Some(of) = type_of(modules, module, item) else { continue };
            let mut names = Names(Vec::new());
            names.visit_item_impl(block);
            methods.extend(names.0.into_iter().map(|name| ((of.clone(), name), module.file.clone())));
        }
    }
    methods
}

/// The largest sets of files that import each other, directly or through others. A set of one file
/// does not count.
fn circles(graph: &Graph) -> Vec<BTreeSet<String>> {
    let reached = graph.keys().map(|file| (file, reachable(graph, file))).collect::<BTreeMap<_, _>>();
    let mut circles = Vec::<BTreeSet<String>>::new();
    for (file, from_here) in &reached {
        if circles.iter().any(|circle| circle.contains(*file)) {
            continue;
        }
        let back = |other: &&String| reached.get(other).is_some_and(|there| there.contains(*file));
        let circle = from_here.iter().filter(back).cloned().collect::<BTreeSet<_>>();
        if circle.len() > 1 {
            circles.push(circle);
        }
    }
    circles
}

/// The files to which the imports of a file lead.
fn reachable(graph: &Graph, file: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![file];
    while let Some(next) = open.pop() {
        for to in graph.get(next).into_iter().flat_map(BTreeMap::keys) {
            if found.insert(to.clone()) {
                open.push(to);
            }
        }
    }
    found
}
