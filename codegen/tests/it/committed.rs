//! The project's own schemas and types.

use std::{collections::BTreeMap, fs, path::Path};

use codegen::{Source, edition::EDITIONS, facts, generate, pins::Pins};

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The committed schemas of 2.0.1.
pub(crate) fn schemas() -> BTreeMap<String, String> {
    let folder = fs::read_dir(root().join("schemas/v201")).expect("the folder");
    folder
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
            (name, fs::read_to_string(path).expect("text"))
        })
        .collect()
}

#[test]
fn generated_files_are_what_the_schemas_give() {
    let edition = &EDITIONS[0];
    let schemas = schemas();
    let sources: Vec<_> = schemas.iter().map(|(name, text)| Source { name, text }).collect();
    let generated = root().join("ocpp-types/src").join(edition.module).join("generated");
    for file in generate(edition, &sources).expect("generated") {
        let committed = fs::read_to_string(generated.join(&file.path)).unwrap_or_default();
        assert!(committed == file.text, "{} differs; run `cargo xtask regen`", file.path);
    }
}

#[test]
fn every_schema_is_pinned_and_holds_no_prose() {
    let pins = fs::read_to_string(root().join("schemas/SOURCES.toml")).expect("the pins");
    let pins = Pins::parse(&pins).expect("TOML");
    assert_eq!(pins.to_text(), fs::read_to_string(root().join("schemas/SOURCES.toml")).expect("the pins"));
    let schemas = schemas();
    assert_eq!(schemas.len(), 128);
    assert!(schemas.keys().eq(pins.0["v201"].sha256.keys()));
    for (name, text) in &schemas {
        assert_eq!(
            facts::extract(name, text).expect("readable"),
            *text,
            "{name} is not in the form of an import"
        );
    }
    let exi = &schemas["Get15118EVCertificateResponse.json"];
    assert!(exi.contains("\"maxLength\": 5600"), "{exi}");
}
