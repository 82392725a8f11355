//! A file's items without those that are compiled for tests only.

use syn::{Attribute, Meta, visit_mut::VisitMut};

/// Parses a file and removes the items that are compiled for tests only.
pub(crate) fn product(text: &str) -> syn::Result<syn::File> {
    let mut file = syn::parse_file(text)?;
    WithoutTests.visit_file_mut(&mut file);
    Ok(file)
}

/// Whether the attributes restrict the item to tests.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            list.parse_args::<Meta>().is_ok_and(|condition| needs_test(&condition))
        }
        meta => meta.path().segments.last().is_some_and(|last| last.ident == "test"),
    })
}

/// Whether a condition holds in tests only: `test`, or `all(…)` with one such part, or `any(…)` of
/// such parts.
fn needs_test(condition: &Meta) -> bool {
    let parts = |list: &syn::MetaList| {
        list.parse_args_with(syn::punctuated::Punctuated::<Meta, syn::Token![,]>::parse_terminated)
            .map(|parts| parts.into_iter().collect::<Vec<_>>())
            .unwrap_or_default()
    };
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => parts(list).iter().any(needs_test),
        Meta::List(list) if list.path.is_ident("any") => {
            let parts = parts(list);
            !parts.is_empty() && parts.iter().all(needs_test)
        }
        Meta::List(_) | Meta::NameValue(_) => false,
    }
}

struct WithoutTests;

impl VisitMut for WithoutTests {
    fn visit_file_mut(&mut self, file: &mut syn::File) {
        file.items.retain(|item| !is_test(attributes_of(item)));
        syn::visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_mod_mut(&mut self, module: &mut syn::ItemMod) {
        if let Some((_, items)) = &mut module.content {
            items.retain(|item| !is_test(attributes_of(item)));
        }
        syn::visit_mut::visit_item_mod_mut(self, module);
    }

    fn visit_item_impl_mut(&mut self, block: &mut syn::ItemImpl) {
        block.items.retain(|item| match item {
            syn::ImplItem::Fn(item) => !is_test(&item.attrs),
            syn::ImplItem::Const(item) => !is_test(&item.attrs),
            syn::ImplItem::Type(item) => !is_test(&item.attrs),
            _ => true,
        });
        syn::visit_mut::visit_item_impl_mut(self, block);
    }

    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        block.stmts.retain(|statement| match statement {
            syn::Stmt::Local(local) => !is_test(&local.attrs),
            syn::Stmt::Item(item) => !is_test(attributes_of(item)),
            syn::Stmt::Macro(call) => !is_test(&call.attrs),
            syn::Stmt::Expr(syn::Expr::Block(block), _) => !is_test(&block.attrs),
            syn::Stmt::Expr(..) => true,
        });
        syn::visit_mut::visit_block_mut(self, block);
    }

    fn visit_fields_named_mut(&mut self, fields: &mut syn::FieldsNamed) {
        fields.named =
            std::mem::take(&mut fields.named).into_iter().filter(|field| !is_test(&field.attrs)).collect();
    }
}

/// The attributes of an item of any kind.
fn attributes_of(item: &syn::Item) -> &[Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::ExternCrate(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_after_a_test_is_still_product() {
        let file = product(
            "#[cfg(test)] mod tests { fn a() {} }\n#[cfg(all(test, unix))] fn b() {}\n\
             #[cfg(any(test, fuzzing))] fn c() {}\nfn d() { #[cfg(test)] let x = 1; }\n#[test] fn e() {}",
        )
        .unwrap();
        let names = file.items.iter().map(|item| match item {
            syn::Item::Fn(item) => item.sig.ident.to_string(),
            _ => "other".to_owned(),
        });
        assert_eq!(names.collect::<Vec<_>>(), ["c", "d"]);
        let syn::Item::Fn(d) = &file.items[1] else { panic!("a function") };
        assert!(d.block.stmts.is_empty());
    }
}
