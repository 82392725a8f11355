//! A `match` over the versions of OCPP names each of them.

use quote::ToTokens as _;
use syn::{Pat, spanned::Spanned as _, visit::Visit};

use super::{
    finding::{Finding, Rule},
    source::Workspace,
};

/// Reports wildcard arms that stand for a version, or have the same body as the arm of a version.
pub(crate) fn check(workspace: &Workspace, findings: &mut Vec<Finding>) {
    for module in workspace.targets.iter().flat_map(|target| &target.modules.list) {
        let mut visitor = Matches { file: &module.file, findings };
        module.items.iter().for_each(|item| visitor.visit_item(item));
    }
}

struct Matches<'a> {
    file: &'a str,
    findings: &'a mut Vec<Finding>,
}

impl<'ast> Visit<'ast> for Matches<'_> {
    fn visit_expr_match(&mut self, expression: &'ast syn::ExprMatch) {
        syn::visit::visit_expr_match(self, expression);
        let mut named = Vec::new();
        let mut bodies = Vec::new();
        for arm in &expression.arms {
            let before = named.len();
            versions(&arm.pat, &mut named);
            if named.len() > before {
                bodies.push(arm.body.to_token_stream().to_string());
            }
        }
        if named.is_empty() {
            return;
        }
        for arm in expression.arms.iter().filter(|arm| is_wildcard(&arm.pat)) {
            let missing = VERSIONS.iter().filter(|version| !named.iter().any(|name| name == *version));
            let missing = missing.copied().collect::<Vec<_>>();
            let message = if !missing.is_empty() {
                format!("`_` stands for {} in a match over versions", missing.join(" and "))
            } else if bodies.contains(&arm.body.to_token_stream().to_string()) {
                "`_` falls back to what another arm does in a match over versions".to_owned()
            } else {
                continue;
            };
            let (file, line) = (self.file.to_owned(), arm.span().start().line);
            self.findings.push(Finding { file, line, rule: Rule::Version, message });
        }
    }
}

/// The versions that a pattern names.
fn versions(pattern: &Pat, named: &mut Vec<String>) {
    struct Names<'a>(&'a mut Vec<String>);
    impl<'ast> Visit<'ast> for Names<'_> {
        fn visit_path(&mut self, path: &'ast syn::Path) {
            if let Some(last) = path.segments.last()
                && VERSIONS.iter().any(|version| last.ident == version)
            {
                self.0.push(last.ident.to_string());
            }
        }
    }
    Names(named).visit_pat(pattern);
}

/// Whether a pattern fits every version: `_`, a name, or these in a tuple or an alternative.
fn is_wildcard(pattern: &Pat) -> bool {
    match pattern {
        Pat::Wild(_) => true,
        Pat::Ident(name) => name.subpat.is_none(),
        Pat::Tuple(tuple) => tuple.elems.iter().all(is_wildcard),
        Pat::Or(or) => or.cases.iter().any(is_wildcard),
        Pat::Paren(inner) => is_wildcard(&inner.pat),
        _ => false,
    }
}

/// The names of the versions in `ocpp_types::Version`.
const VERSIONS: &[&str] = &["V16", "V201", "V21"];
