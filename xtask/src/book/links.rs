//! Links lead to existing pages and headings.

use std::path::Path;

use super::page::Page;
use crate::workspace::root;

/// The broken links, and the pages of the book that its summary does not name.
pub(crate) fn check(pages: &[Page]) -> Vec<String> {
    let mut findings = Vec::new();
    for page in pages {
        for (line, link) in &page.links {
            if let Some(fault) = fault(pages, page, link, |path| root().join(path).exists()) {
                findings.push(format!("{}:{line}: {fault}", page.name));
            }
        }
    }
    for page in pages {
        for (line, code) in &page.commands {
            if is_path(code) && !root().join(code).exists() {
                findings.push(format!("{}:{line}: `{code}` does not exist", page.name));
            }
        }
    }
    let summary = pages.iter().find(|page| page.name == "docs/SUMMARY.md");
    let named = |name: &str| summary.is_some_and(|page| page.links.iter().any(|(_, link)| link == name));
    for page in pages {
        if let Some(name) = page.name.strip_prefix("docs/")
            && name != "SUMMARY.md"
            && !named(name)
        {
            findings.push(format!("{}: docs/SUMMARY.md does not name this page; add it there", page.name));
        }
    }
    findings
}

/// Whether a span of code is the path of a file or folder in the checkout.
fn is_path(code: &str) -> bool {
    let parts = code.split('/').collect::<Vec<_>>();
    let plain = |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let inner = ["src", "tests", "examples", "migrations", "fuzz"];
    parts.len() > 2 && inner.contains(&parts[1]) && parts.iter().copied().all(plain)
}

/// The fault of a link of a page.
fn fault(pages: &[Page], page: &Page, link: &str, exists: impl Fn(&str) -> bool) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let path = if file.is_empty() { page.name.clone() } else { beside(&page.name, file) };
    if !exists(&path) {
        return Some(format!("{link} leads to {path}, which does not exist"));
    }
    let in_book = page.name.starts_with("docs/");
    let included = link.starts_with("../") && link.ends_with(".md");
    if in_book && !path.starts_with("docs/") && !included {
        return Some(format!("{link} leads out of the book; include the page in docs/ and link to it there"));
    }
    let target = pages.iter().find(|page| page.name == path)?;
    let anchor = anchor?;
    let found = target.anchors.iter().any(|known| known == anchor);
    (!found).then(|| format!("{path} has no heading #{anchor}"))
}

/// The path of a file as seen from a page.
fn beside(page: &str, file: &str) -> String {
    let mut parts = Path::new(page).parent().map(|folder| folder.to_string_lossy().into_owned());
    let folder = parts.take().unwrap_or_default();
    let mut path = folder.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>();
    for part in file.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(path.pop()),
            part => path.push(part),
        }
    }
    path.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_the_checkout_are_known_from_other_code() {
        for path in ["csms/src/service/io/server.rs", "station/tests/it"] {
            assert!(is_path(path), "{path}");
        }
        for other in ["src/io/", "target/demo/", "a/b/c", "csms/src/*/x.rs", "ocpp-csms run"] {
            assert!(!is_path(other), "{other}");
        }
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let pages = [
            Page::new("docs/a.md".to_owned(), "# A\n".to_owned()),
            Page::new("docs/b.md".to_owned(), "# First heading\n".to_owned()),
        ];
        let exists = |path: &str| ["docs/a.md", "docs/b.md", "SECURITY.md", "LICENSE-MIT"].contains(&path);
        let fault = |link| fault(&pages, &pages[0], link, exists);
        for good in ["b.md", "b.md#first-heading", "#a", "https://example.com/x", "../SECURITY.md"] {
            assert_eq!(fault(good), None, "{good}");
        }
        for bad in ["c.md", "b.md#second", "#b", "../LICENSE-MIT"] {
            assert!(fault(bad).is_some(), "{bad}");
        }
    }
}
