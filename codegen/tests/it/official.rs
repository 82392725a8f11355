//! An official set, compared with ours.

use std::collections::BTreeMap;

use codegen::{
    Source,
    official::{Difference, import, verify},
    pins::{Pins, canonical_hash},
};

use crate::committed::schemas;

fn sources(texts: &BTreeMap<String, String>) -> Vec<Source<'_>> {
    texts.iter().map(|(name, text)| Source { name, text }).collect()
}

/// The committed files with added prose, used as an official download.
fn official() -> BTreeMap<String, String> {
    let with_prose = |text: String| text.replacen("{", "\u{feff}{\r\n\"comment\": \"prose\",", 1);
    schemas("v201").into_iter().map(|(name, text)| (name, with_prose(text))).collect()
}

fn differences(official: &BTreeMap<String, String>) -> Vec<Difference> {
    let pinned = import(&sources(&self::official())).expect("imported").remove(0);
    let mut pins = Pins::default();
    pins.set(pinned.set, pinned.sha256);
    verify(&sources(official), &sources(&schemas("v201")), &pins.0["v201"])
}

fn shown(differences: &[Difference]) -> Vec<String> {
    differences.iter().map(ToString::to_string).collect()
}

#[test]
fn an_import_gives_the_committed_files() {
    let imported = import(&sources(&official())).expect("imported");
    assert_eq!(imported.len(), 1);
    assert_eq!(imported[0].files, schemas("v201"));
    assert_eq!(differences(&official()), []);
}

#[test]
fn one_changed_bound_is_found() {
    let mut official = official();
    let file = official.get_mut("Get15118EVCertificateResponse.json").expect("the file");
    *file = file.replace("5600", "7500");
    let differences = shown(&differences(&official));
    assert_eq!(
        differences[0],
        "Get15118EVCertificateResponse.json, at /properties/exiResponse/maxLength: the official file has 7500, ours has 5600"
    );
    assert!(
        differences[1].starts_with("Get15118EVCertificateResponse.json: canonical SHA-256 "),
        "{differences:?}"
    );
    assert_eq!(differences.len(), 2);
}

#[test]
fn each_kind_of_change_is_found() {
    for (file, from, to, expected) in [
        (
            "ResetRequest.json",
            r#""OnIdle""#,
            r#""Later""#,
            "/definitions/ResetEnumType/enum/1: the official file has \"Later\"",
        ),
        (
            "ResetRequest.json",
            "    \"type\"\n",
            "    \"evseId\"\n",
            "/required/0: the official file has \"evseId\"",
        ),
        (
            "ResetRequest.json",
            r#""evseId": {"#,
            r#""extra": {}, "evseId": {"#,
            "/properties/extra: the official file has {}, ours has nothing",
        ),
        (
            "ResetRequest.json",
            r#""javaType": "ResetEnum","#,
            "",
            "/definitions/ResetEnumType/javaType: the official file has nothing",
        ),
        (
            "ResetRequest.json",
            "2020:3",
            "2020:4",
            "/$id: the official file has \"urn:OCPP:Cp:2:2020:4:ResetRequest\"",
        ),
        (
            "ClearCacheRequest.json",
            "\"$schema\": \"http://json-schema.org/draft-06/schema#\",",
            "",
            "/$schema: the official file has nothing",
        ),
    ] {
        let mut official = official();
        let text = official.get_mut(file).expect("the file");
        assert!(text.contains(from), "{from}");
        *text = text.replacen(from, to, 1);
        let differences = shown(&differences(&official));
        let expected = format!("{file}, at {expected}");
        assert!(
            differences.iter().any(|difference| difference.starts_with(&expected)),
            "{expected}: {differences:?}"
        );
    }
}

#[test]
fn the_order_of_members_counts() {
    let mut official = official();
    let text = official.get_mut("SetMonitoringLevelRequest.json").expect("the file");
    *text = text.replacen(r#""maxLength": 255"#, "", 1).replacen(
        r#""type": "string","#,
        r#""maxLength": 255, "type": "string""#,
        1,
    );
    assert_eq!(
        shown(&differences(&official)),
        [
            "SetMonitoringLevelRequest.json, at /definitions/CustomDataType/properties/vendorId: the same members in another order"
        ]
    );
}

#[test]
fn prose_counts_for_the_hash_only() {
    let mut official = official();
    let text = official.get_mut("ResetRequest.json").expect("the file");
    *text = text.replacen("prose", "other prose", 1);
    let differences = differences(&official);
    assert!(matches!(differences.as_slice(), [Difference::Hash { .. }]), "{differences:?}");
}

#[test]
fn missing_extra_and_broken_files_are_found() {
    let mut official = official();
    official.remove("ResetRequest.json");
    official.insert("OtherRequest.json".to_owned(), "{}".to_owned());
    official.insert("ResetResponse.json".to_owned(), "{".to_owned());
    let differences = shown(&differences(&official));
    assert!(
        differences[0].starts_with("OtherRequest.json is in the official set, but not among ours"),
        "{differences:?}"
    );
    assert!(
        differences.iter().any(|difference| difference.starts_with("ResetResponse.json cannot be read")),
        "{differences:?}"
    );
    assert!(
        differences.contains(&"ResetRequest.json is not in the official set".to_owned()),
        "{differences:?}"
    );
}

#[test]
fn a_set_of_an_unknown_edition_is_not_imported() {
    let mut official = official();
    for text in official.values_mut() {
        *text = text.replace("urn:OCPP:Cp:2:2020:3:", "urn:OCPP:Cp:3:");
    }
    let error = import(&sources(&official)).expect_err("unknown").to_string();
    assert!(error.starts_with("AuthorizeRequest.json has the $id urn:OCPP:Cp:3:AuthorizeRequest"), "{error}");
    assert!(import(&[]).is_err());
}

#[test]
fn pins_are_read_back() {
    let imported = import(&sources(&official())).expect("imported").remove(0);
    let mut pins = Pins::default();
    pins.set(imported.set, imported.sha256);
    assert_eq!(Pins::parse(&pins.to_text()).expect("TOML"), pins);
}

#[test]
fn the_hash_is_that_of_the_canonical_json() {
    // RFC 8785, 3.2.2: 1E30 is written 1e+30, 4.50 is 4.5, and members are sorted; the digest is
    // sha256sum's of that text.
    let hash = |text: &str| canonical_hash("a.json", text).expect("JSON");
    let canonical = r#"{"a":"é","b":[1e+30,4.5]}"#;
    assert_eq!(hash("\u{feff} { \"b\" : [1E30, 4.50],\r\n \"a\" : \"\\u00e9\" }"), hash(canonical));
    assert_eq!(hash(canonical), "d55e6863fbd35378aee67c585bb23d3fd4594d8cf20c8e267089fc4611fbd51d");
}
