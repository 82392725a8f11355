//! The project's own schemas and types.

use std::{collections::BTreeMap, fs, path::Path};

use codegen::{Source, edition::EDITIONS, facts, generate, io::read_folder, pins::Pins};

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The committed schemas of a folder.
pub(crate) fn schemas(module: &str) -> BTreeMap<String, String> {
    let folder = fs::read_dir(root().join("schemas").join(module)).expect("the folder");
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
    for edition in EDITIONS {
        let schemas = schemas(edition.module);
        let sources: Vec<_> = schemas.iter().map(|(name, text)| Source { name, text }).collect();
        let generated = root().join("ocpp-types/src").join(edition.module).join("generated");
        for file in generate(edition, &sources).expect("generated") {
            let committed = fs::read_to_string(generated.join(&file.path)).unwrap_or_default();
            assert!(
                committed == file.text,
                "{}/{} differs; run `cargo xtask regen`",
                edition.module,
                file.path
            );
        }
    }
}

#[test]
fn every_schema_is_pinned_and_holds_no_prose() {
    let text = fs::read_to_string(root().join("schemas/SOURCES.toml")).expect("the pins");
    let pins = Pins::parse(&text).expect("TOML");
    assert_eq!(pins.to_text(), text);
    for (edition, count) in EDITIONS.iter().zip([78, 128, 181]) {
        let schemas = schemas(edition.module);
        assert_eq!(schemas.len(), count);
        let mut pinned: Vec<_> = edition.sets.iter().flat_map(|set| pins.0[set.name].sha256.keys()).collect();
        pinned.sort();
        assert!(schemas.keys().eq(pinned));
        for (name, text) in &schemas {
            assert_eq!(
                facts::extract(name, text).expect("readable"),
                *text,
                "{name} is not in the form of an import"
            );
        }
    }
    let exi = &schemas("v201")["Get15118EVCertificateResponse.json"];
    assert!(exi.contains("\"maxLength\": 5600"), "{exi}");
}

#[test]
fn a_folder_of_all_versions_is_sorted_by_edition() {
    let files = read_folder(&root().join("schemas")).expect("readable");
    assert_eq!(files.len(), 78 + 128 + 181);
    for edition in EDITIONS {
        let schemas = schemas(edition.module);
        let found = codegen::of_edition(edition, &files);
        assert!(
            found
                .iter()
                .map(|source| (source.name, source.text))
                .eq(schemas.iter().map(|(name, text)| (name.as_str(), text.as_str())))
        );
    }
    let error = read_folder(&root().join("schemas/absent")).expect_err("there is none").to_string();
    assert!(error.starts_with("cannot read ") && error.ends_with("absent"), "{error}");
}
