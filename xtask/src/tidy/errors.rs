//! A logged error keeps its causes, in every format of the log.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;

use super::{
    finding::{Finding, Rule},
    source::Workspace,
};

/// Reports fields of log events that print an error without its causes.
pub(crate) fn check(workspace: &Workspace, findings: &mut Vec<Finding>) {
    for module in workspace.targets.iter().flat_map(|target| &target.modules.list) {
        let mut visitor = Events { file: &module.file, findings };
        module.items.iter().for_each(|item| visitor.visit_item(item));
    }
}

struct Events<'a> {
    file: &'a str,
    findings: &'a mut Vec<Finding>,
}

impl<'ast> Visit<'ast> for Events<'_> {
    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let name = call.path.segments.last().map(|last| last.ident.to_string());
        if name.is_some_and(|name| EVENTS.contains(&name.as_str())) {
            self.check(&call.tokens);
        }
        syn::visit::visit_macro(self, call);
    }
}

impl Events<'_> {
    /// Fields are separated by commas. Only `error = %causes(…)` and text are complete.
    fn check(&mut self, tokens: &TokenStream) {
        let tokens = tokens.clone().into_iter().collect::<Vec<_>>();
        for field in tokens.split(|token| is_sign(token, ',')) {
            let Some(first) = field.first() else { continue };
            let text = field.iter().map(ToString::to_string).collect::<Vec<_>>();
            let words = text.iter().map(String::as_str).collect::<Vec<_>>();
            let is_cast = words.windows(3).any(|window| window == ["as", "&", "dyn"]);
            let loses = match words.as_slice() {
                ["error"] | ["%" | "?", "error"] | [_, "=", "%" | "?", "error"] => true,
                [_, "=", ..] => is_cast,
                _ => false,
            };
            if loses {
                let message = format!("`{}` leaves the causes of the error out", text.join(" "));
                let (file, line) = (self.file.to_owned(), first.span().start().line);
                self.findings.push(Finding { file, line, rule: Rule::Causes, message });
            }
        }
    }
}

fn is_sign(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

/// The macros of `tracing` that make an event.
const EVENTS: &[&str] = &["trace", "debug", "info", "warn", "error", "event"];
