//! Tests of each rule, with files that break it on purpose.

use super::{
    finding::Rule,
    findings,
    known::Known,
    source::{Text, Workspace},
};

fn workspace(files: &[(&str, &str)]) -> Workspace {
    let text = |(name, text): &(&str, &str)| Text { name: (*name).to_owned(), text: (*text).to_owned() };
    Workspace::of(files.iter().map(text).collect()).unwrap()
}

/// The places that a rule reports in these files, as `file:line`.
fn places(rule: Rule, files: &[(&str, &str)]) -> Vec<String> {
    let mut found = findings(&workspace(files));
    found.sort();
    let found = found.into_iter().filter(|finding| finding.rule == rule);
    found.map(|finding| format!("{}:{}", finding.file, finding.line)).collect()
}

fn check(rule: Rule, files: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(places(rule, files), expected, "{}", rule.name());
}

#[test]
fn a_core_touches_nothing_outside() {
    let lib = "pub mod core;\npub mod io;\n";
    let core = "use std::{fs, time::{Duration, Instant}};\n\
                pub fn a() { let _ = fs::read(\"x\"); }\n\
                pub fn b() -> Instant { Instant::now() }\n\
                pub fn c(since: Instant) -> Duration { since.elapsed() }\n\
                pub async fn d(answer: impl Future) { answer.await; }\n\
                pub fn e() { assert!(std::env::var_os(\"HOME\").is_some(), \"{:?}\", tokio::spawn(async {})); }\n\
                #[cfg(test)] mod early { fn f() { std::thread::sleep(super::X); } }\n\
                pub fn g(path: &std::path::Path) -> bool { path.exists() }\n\
                pub fn h() { tokio::select! { _ = a() => {}, } }\n\
                pub fn i(name: &str) -> std::io::Result<()> { Err(std::io::Error::other(name)) }\n";
    let files = [("csms/src/lib.rs", lib), ("csms/src/core.rs", core), ("csms/src/io/mod.rs", core)];
    let expected = [2, 3, 4, 5, 6, 6, 8, 9].map(|line| format!("csms/src/core.rs:{line}"));
    check(Rule::Core, &files, &expected.each_ref().map(String::as_str));
}

#[test]
fn a_core_does_not_import_from_io() {
    let lib = "mod core;\nmod io;\npub use io::Server;\nmod tests;\n";
    let core =
        "use crate::{Server, other};\nuse super::io::Server as Same;\npub fn a() { crate::io::serve(); }\n";
    let io = "pub struct Server;\npub fn serve() {}\n";
    let files = [("csms/src/lib.rs", lib), ("csms/src/core.rs", core), ("csms/src/io/mod.rs", io)];
    let expected = ["csms/src/core.rs:1", "csms/src/core.rs:2", "csms/src/core.rs:3"];
    check(Rule::CoreImportsIo, &files, &expected);
}

#[test]
fn files_do_not_import_each_other_in_a_circle() {
    let lib = "mod a;\nmod b;\nmod c;\nmod d;\npub use a::A;\npub use b::B;\n";
    // Through a re-export of the root, through a path in an expression, and through an import.
    let a = "use crate::B;\npub struct A(B);\n";
    let b = "pub struct B;\nimpl B { fn new() { crate::c::make() } }\n";
    let c = "use super::a;\npub fn make() { a::A::new(); }\n";
    let d = "use crate::a::A;\n#[cfg(test)]\nmod tests;\n";
    let tests = "use crate::a::A;\n";
    let mut files = vec![
        ("csms/src/lib.rs", lib),
        ("csms/src/a.rs", a),
        ("csms/src/b.rs", b),
        ("csms/src/c.rs", c),
        ("csms/src/d.rs", d),
        ("csms/src/d/tests.rs", tests),
    ];
    check(Rule::Circle, &files, &["csms/src/a.rs:1", "csms/src/b.rs:2", "csms/src/c.rs:2"]);
    let described = super::circles::describe(&workspace(&files));
    assert!(described.contains("csms/src/c.rs:2 imports `A` of csms/src/a.rs\n"), "{described}");
    assert!(described.ends_with("1 circles\n"), "{described}");

    // Neither an import in a test nor a table of contents counts.
    files[3] = ("csms/src/c.rs", "pub fn make() {}\n#[cfg(test)]\nmod tests { use super::super::a; }\n");
    check(Rule::Circle, &files, &[]);
}

#[test]
fn methods_of_one_type_in_two_files_are_imports_too() {
    let lib = "mod a;\nmod b;\n";
    let a = "pub struct A;\nimpl A { pub fn first(&self) { self.second(); } }\n";
    let b = "use super::a::A;\nimpl A { pub fn second(&self) {} }\n";
    let files = [("csms/src/lib.rs", lib), ("csms/src/a.rs", a), ("csms/src/b.rs", b)];
    check(Rule::Circle, &files, &["csms/src/a.rs:2", "csms/src/b.rs:1"]);
}

#[test]
fn a_match_over_versions_names_each_of_them() {
    let lib = "fn a(v: Version) -> u8 { match v { Version::V16 => 1,\n_ => 2 } }\n\
               fn b(v: Version) -> u8 { match v { Version::V16 => 1, Version::V201 => 2, Version::V21 => 3,\nother => 2 } }\n\
               fn c(v: Version) -> R { match v { Version::V16 => f(), Version::V201 | Version::V21 => g(), _ => Err(E) } }\n\
               fn d(v: Option<Version>) -> u8 { match v { Some(Version::V16) => 1, Some(_) => 2, None => 3 } }\n\
               fn e(n: u8) -> u8 { match n { 1 => 1, _ => 2 } }\n";
    check(
        Rule::Version,
        &[("csms/src/lib.rs", lib)],
        &["csms/src/lib.rs:2", "csms/src/lib.rs:4", "csms/src/lib.rs:6"],
    );
}

#[test]
fn names_are_those_of_the_glossary() {
    let lib = "mod wishes;\nstruct Desk { told: bool }\nfn see_to() { let front_doors = 1; }\nstruct Order;\n\
               fn order(byte_order: u8, folder: u8, see: u8) {}\n#[cfg(test)] mod tests { struct Office; }\n";
    let files = [("csms/src/lib.rs", lib), ("csms/src/wishes.rs", "const ERRANDS: usize = 1;\n")];
    let expected = [
        "csms/src/lib.rs:2",
        "csms/src/lib.rs:2",
        "csms/src/lib.rs:3",
        "csms/src/lib.rs:3",
        "csms/src/lib.rs:4",
        "csms/src/wishes.rs:0",
        "csms/src/wishes.rs:1",
    ];
    check(Rule::Name, &files, &expected);
}

#[test]
fn some_names_have_one_type() {
    let files = [("csms/src/lib.rs", "pub struct Limits;\n"), ("station/src/lib.rs", "\nenum Limits {}\n")];
    check(Rule::OneType, &files, &["csms/src/lib.rs:1", "station/src/lib.rs:2"]);
    check(Rule::OneType, &files[..1], &[]);
}

#[test]
fn comments_end_at_column_100() {
    let (fits, long) = ("x ".repeat(48), "x ".repeat(49));
    let link = "x".repeat(120);
    let rust =
        format!("/// {fits}\n    // {long}\n/// http://{link}\n//! | {long} |\nfn a() {{}} // {long}\n");
    let python = format!("# {long}y\n");
    let files = [("csms/tests/it/main.rs", rust.as_str()), ("csms/tests/it/a.py", python.as_str())];
    check(Rule::Column, &files, &["csms/tests/it/a.py:1", "csms/tests/it/main.rs:2"]);
}

#[test]
fn files_answer_one_question_and_nothing_is_left_unfinished() {
    let long = "\n".repeat(601);
    let files =
        [("csms/src/lib.rs", long.as_str()), ("csms/tests/it/a.rs", "\n#[ignore]\nfn b() { todo!() }\n")];
    check(Rule::Length, &files, &["csms/src/lib.rs:0"]);
    check(Rule::Unfinished, &files, &["csms/tests/it/a.rs:2", "csms/tests/it/a.rs:3"]);
}

#[test]
fn an_error_in_the_log_keeps_its_causes() {
    let lib = "fn a() { tracing::warn!(%error, \"x\");\n\
               warn!(station, error, \"x\");\n\
               error!(error = &error as &dyn std::error::Error, \"x\");\n\
               debug!(reason = ?error, \"x\");\n\
               info!(error = %causes(&error), \"x\");\n\
               tracing::error!(error = reason, \"an error, {error}\"); }\n\
               #[cfg(test)] mod tests { fn b() { warn!(%error, \"x\"); } }\n";
    let expected = [1, 2, 3, 4].map(|line| format!("csms/src/lib.rs:{line}"));
    check(Rule::Causes, &[("csms/src/lib.rs", lib)], &expected.each_ref().map(String::as_str));
}

#[test]
fn programs_that_are_started_are_in_the_list_of_requirements() {
    let test = "fn a() { Command::new(\"openssl\"); Command::new(\"sh\"); Command::new(path); }\n\
                fn b() { Command::new(\"kill\"); Command::new(\"./here\"); }\n";
    check(Rule::Program, &[("csms/tests/it/a.rs", test)], &["csms/tests/it/a.rs:2"]);
}

#[test]
fn schemas_hold_no_prose() {
    let json = "{\n\"properties\": {\"description\": {}},\n\"description\": \"What it is\"\n}\n";
    check(Rule::Prose, &[("schemas/v201/A.json", json)], &["schemas/v201/A.json:3"]);
}

#[test]
fn crates_depend_on_what_stands_to_their_left() {
    let metadata = serde_json::json!({"packages": [
        {"name": "station-store", "dependencies": [
            {"name": "ocpp-types", "kind": null},
            {"name": "ocpp-transport", "kind": "dev"},
            {"name": "signer-pkcs11", "kind": null},
            {"name": "serde", "kind": null},
        ]},
        {"name": "ocpp-types", "dependencies": [{"name": "codegen", "kind": "build", "optional": false}]},
        {"name": "csms", "dependencies": [{"name": "xtask", "kind": "dev"}]},
        {"name": "helpers", "dependencies": []},
        {"name": "signer-pkcs11", "dependencies": []},
        {"name": "ocpp-transport", "dependencies": []},
        {"name": "codegen", "dependencies": []},
        {"name": "xtask", "dependencies": []},
    ]});
    let mut findings = Vec::new();
    super::crates::check(&metadata, &mut findings);
    let found = findings.iter().map(|finding| finding.message.as_str()).collect::<Vec<_>>();
    let expected = [
        "depends on signer-pkcs11, which stands beside or to the right of it",
        "depends on codegen, which nothing needs at run time",
        "depends on xtask, which stands beside or to the right of it",
        "helpers is not in the picture (xtask/src/tidy/crates.rs)",
    ];
    assert_eq!(found, expected);
}

#[test]
fn packages_hold_sources_and_licenses_and_no_more() {
    let mut findings = Vec::new();
    let good = "Cargo.toml\nLICENSE-APACHE\nLICENSE-MIT\nsrc/lib.rs\nmigrations/0001.sql\n";
    super::packages::check_list("csms", good, &mut findings);
    assert_eq!(findings, []);
    let bad = "Cargo.toml\nLICENSE-MIT\nsrc/lib.rs\ntests/it/key.pem\n";
    super::packages::check_list("csms", bad, &mut findings);
    let found = findings.iter().map(|finding| finding.message.as_str()).collect::<Vec<_>>();
    assert_eq!(found, ["the package holds tests/it/key.pem", "the package lacks LICENSE-APACHE"]);
}

#[test]
fn the_workspace_is_parsed_as_a_whole() {
    let workspace = Workspace::read(&crate::workspace::root()).unwrap();
    let names = workspace.targets.iter().map(|target| target.name.as_str()).collect::<Vec<_>>();
    for expected in ["csms", "csms/ocpp-csms", "signer_pkcs11", "signer-pkcs11/hsm", "xtask"] {
        assert!(names.contains(&expected), "{expected} among {names:?}");
    }
    Known::parse(&std::fs::read_to_string(crate::workspace::root().join(super::KNOWN)).unwrap()).unwrap();
}
