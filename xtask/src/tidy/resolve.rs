//! Finds the file to which a path in the source leads, and every path that a module contains.
//!
//! Names are resolved as the compiler resolves them, as far as that needs no types: through
//! imports, re-exports and child modules. A name that a macro defines counts as defined in the
//! module to which its path leads.

use proc_macro2::{TokenStream, TokenTree};
use syn::{punctuated::Punctuated, spanned::Spanned as _, visit::Visit};

use super::tree::{Module, Modules};

/// The target of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// An item of this target: the module that defines it, and its name.
    Item(Vec<String>, String),
    /// A module of this target.
    Module(Vec<String>),
    /// An item of another crate, by its whole path.
    Elsewhere(Vec<String>),
}

impl Modules {
    /// Resolves a path that occurs in `module`.
    pub(crate) fn resolve(&self, module: &Module, path: &[String]) -> Option<Place> {
        self.follow(&module.path, path, true, 0)
    }

    fn follow(&self, from: &[String], path: &[String], anywhere: bool, depth: usize) -> Option<Place> {
        if depth > MAX_STEPS {
            return None;
        }
        let Some((first, rest)) = path.split_first() else { return Some(Place::Module(from.to_vec())) };
        match first.as_str() {
            "" => return Some(Place::Elsewhere(rest.to_vec())),
            "crate" => return self.follow(&[], rest, false, depth + 1),
            "self" => return self.follow(from, rest, false, depth + 1),
            "super" => {
                let (_, parent) = from.split_last()?;
                return self.follow(parent, rest, false, depth + 1);
            }
            _ => {}
        }
        let module = self.get(from)?;
        if module.defines.contains(first) {
            return Some(Place::Item(from.to_vec(), first.clone()));
        }
        let child = from.iter().cloned().chain([first.clone()]).collect::<Vec<_>>();
        if self.get(&child).is_some() {
            return self.follow(&child, rest, false, depth + 1);
        }
        if let Some(import) = module.imports.get(first) {
            let full = import.path.iter().chain(rest).cloned().collect::<Vec<_>>();
            // `use url::Url` in a module that is called `url` means the other crate.
            let same = import.path.first() == Some(first);
            return if same {
                Some(Place::Elsewhere(full))
            } else {
                self.follow(from, &full, true, depth + 1)
            };
        }
        for glob in &module.globs {
            let full = glob.iter().chain(path).cloned().collect::<Vec<_>>();
            if let Some(place @ (Place::Item(..) | Place::Module(_))) =
                self.follow(from, &full, true, depth + 1)
            {
                return Some(place);
            }
        }
        if anywhere {
            Some(Place::Elsewhere(path.to_vec()))
        } else {
            // Defined by a macro, or in a generated file.
            Some(Place::Item(from.to_vec(), first.clone()))
        }
    }
}

/// A path or a method's name, and its line.
pub(crate) struct Mention {
    pub(crate) kind: Kind,
    pub(crate) line: usize,
}

/// The kind of mention.
pub(crate) enum Kind {
    /// A path of names in an expression, a type, a pattern or a macro's arguments.
    Path(Vec<String>),
    /// A method call.
    Method { name: String, on_self: bool, arguments: usize },
    /// `.await`
    Await,
}

/// Everything that an item mentions, except for imports and visibilities.
pub(crate) fn mentions(item: &syn::Item) -> Vec<Mention> {
    let mut collector = Collector(Vec::new());
    collector.visit_item(item);
    collector.0
}

struct Collector(Vec<Mention>);

impl Collector {
    fn add(&mut self, kind: Kind, span: proc_macro2::Span) {
        self.0.push(Mention { kind, line: span.start().line });
    }

    /// The paths and methods among a macro's tokens that do not parse as expressions.
    fn scan(&mut self, tokens: TokenStream) {
        let tokens = tokens.into_iter().collect::<Vec<_>>();
        let is = |index: usize, sign: char| matches!(tokens.get(index), Some(TokenTree::Punct(punct)) if punct.as_char() == sign);
        let mut index = 0;
        while let Some(token) = tokens.get(index) {
            match token {
                TokenTree::Group(group) => self.scan(group.stream()),
                TokenTree::Ident(first) => {
                    let after_dot = index > 0 && is(index - 1, '.');
                    let mut path = vec![first.to_string()];
                    while is(index + 1, ':') && is(index + 2, ':') {
                        let Some(TokenTree::Ident(next)) = tokens.get(index + 3) else { break };
                        path.push(next.to_string());
                        index += 3;
                    }
                    let span = first.span();
                    if after_dot && first == "await" {
                        self.add(Kind::Await, span);
                    } else if after_dot {
                        let arguments = match tokens.get(index + 1) {
                            Some(TokenTree::Group(group)) if group.stream().is_empty() => 0,
                            _ => 1,
                        };
                        let name = first.to_string();
                        self.add(Kind::Method { name, on_self: false, arguments }, span);
                    } else {
                        self.add(Kind::Path(path), span);
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            index += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item_use(&mut self, _: &'ast syn::ItemUse) {}

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter().map(|segment| segment.ident.to_string());
        let leading = path.leading_colon.map(|_| String::new());
        self.add(Kind::Path(leading.into_iter().chain(names).collect()), path.span());
        syn::visit::visit_path(self, path);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let on_self = matches!(&*call.receiver, syn::Expr::Path(path) if path.path.is_ident("self"));
        let (name, arguments) = (call.method.to_string(), call.args.len());
        self.add(Kind::Method { name, on_self, arguments }, call.method.span());
        syn::visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_await(&mut self, wait: &'ast syn::ExprAwait) {
        self.add(Kind::Await, wait.await_token.span());
        syn::visit::visit_expr_await(self, wait);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        match call.parse_body_with(Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated) {
            // The parsed expressions do not live long enough for this visitor, so another one
            // collects their mentions.
            Ok(expressions) => expressions.iter().for_each(|expression| {
                let mut inner = Collector(Vec::new());
                inner.visit_expr(expression);
                self.0.append(&mut inner.0);
            }),
            Err(_) => self.scan(call.tokens.clone()),
        }
    }
}

/// The maximum number of re-exports on the way; a longer way is circular.
const MAX_STEPS: usize = 32;
