//! Names that the glossary replaces, and types that share one name.

use std::collections::BTreeMap;

use proc_macro2::Span;
use syn::{Ident, visit::Visit};

use super::{
    finding::{Finding, Rule},
    source::Workspace,
};

/// Reports names that the glossary replaces, and types that share a name which only one type may
/// have.
pub(crate) fn check(workspace: &Workspace, findings: &mut Vec<Finding>) {
    let mut types = BTreeMap::<String, Vec<(String, usize)>>::new();
    for module in workspace.targets.iter().flat_map(|target| &target.modules.list) {
        let mut visitor = Names { file: &module.file, findings, types: &mut types };
        module.items.iter().for_each(|item| visitor.visit_item(item));
        if let Some(name) = module.path.last() {
            visitor.check(name, 0, false);
        }
    }
    for (name, places) in types {
        if places.len() > 1 {
            for (file, line) in places {
                let message = format!("`{name}` names more than one type");
                findings.push(Finding { file, line, rule: Rule::OneType, message });
            }
        }
    }
}

struct Names<'a> {
    file: &'a str,
    findings: &'a mut Vec<Finding>,
    types: &'a mut BTreeMap<String, Vec<(String, usize)>>,
}

impl Names<'_> {
    fn declared(&mut self, name: &Ident, is_type: bool) {
        let line = line(name.span());
        self.check(&name.to_string(), line, is_type);
        if is_type && ONE_TYPE.iter().any(|one| name == one) {
            self.types.entry(name.to_string()).or_default().push((self.file.to_owned(), line));
        }
    }

    fn check(&mut self, name: &str, line: usize, is_type: bool) {
        let words = words(name);
        for (replaced, instead) in REPLACED {
            let sequence = replaced.split('_').collect::<Vec<_>>();
            let found = words
                .windows(sequence.len())
                .any(|window| window.iter().zip(&sequence).all(|(word, wanted)| is_form_of(word, wanted)));
            // `order` is allowed for bytes and results, which have an order; a type of this name
            // would be a task.
            let meant = *replaced != "order" || (is_type && words.len() == 1);
            if found && meant {
                let message = format!("`{name}` is a name with `{replaced}`: write {instead}");
                let file = self.file.to_owned();
                self.findings.push(Finding { file, line, rule: Rule::Name, message });
            }
        }
    }
}

/// Visits every place that defines a name, including those of local variables.
impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.declared(&item.ident, true);
        syn::visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.declared(&item.ident, true);
        syn::visit::visit_item_enum(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.declared(&item.ident, true);
        syn::visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.declared(&item.ident, true);
        syn::visit::visit_item_type(self, item);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.declared(&item.ident, false);
        syn::visit::visit_item_const(self, item);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.declared(&item.ident, false);
        syn::visit::visit_item_static(self, item);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.declared(&signature.ident, false);
        syn::visit::visit_signature(self, signature);
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.declared(&variant.ident, false);
        syn::visit::visit_variant(self, variant);
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        field.ident.iter().for_each(|name| self.declared(name, false));
        syn::visit::visit_field(self, field);
    }

    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        self.declared(&pattern.ident, false);
        syn::visit::visit_pat_ident(self, pattern);
    }
}

fn line(span: Span) -> usize {
    span.start().line
}

/// The words of a name in lower case: security and events for `SecurityEvents` and for
/// `security_events`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = '_';
    for letter in name.chars() {
        if letter == '_' || (letter.is_uppercase() && !before.is_uppercase()) {
            words.push(String::new());
        }
        if letter != '_'
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}

fn is_form_of(word: &str, wanted: &str) -> bool {
    word.strip_prefix(wanted).is_some_and(|rest| ["", "s", "es"].contains(&rest))
}

/// Words that are not used in names, and their replacements.
const REPLACED: &[(&str, &str)] = &[
    ("office", "what it does, as in `OperatorApi`"),
    ("desk", "what it does, as in `StationRegistry`"),
    ("door", "what it does, as in `AdmissionControl`"),
    ("errand", "`call`, `task` or `job`"),
    ("wish", "`request`, `arguments` or `settings`"),
    ("order", "`command`, `request` or `job`"),
    ("see_to", "`process`, `handle` or what is done"),
    ("see_through", "`complete` or `deliver`"),
    ("brought", "`delivered` or `received`"),
    ("told", "`reported`, `notified` or `logged`"),
];

/// Names that only one type of the workspace may have.
const ONE_TYPE: &[&str] = &["Issued", "Limits", "Revoked", "Subject"];
