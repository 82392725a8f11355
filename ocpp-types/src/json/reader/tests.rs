use alloc::{format, string::String, vec::Vec};

use proptest::prelude::*;
use serde_core::de::DeserializeOwned;

use super::read;
use crate::{Number, Value};

/// Checks that the reader accepts the same text as serde_json, with the same result.
fn check<T: DeserializeOwned + PartialEq + core::fmt::Debug>(text: &str) {
    assert_eq!(read::<T>(text).ok(), serde_json::from_str::<T>(text).ok(), "{text}");
}

#[test]
fn odd_texts() {
    for text in [
        "",
        " ",
        "{",
        "}",
        "{}",
        " { } ",
        "[",
        "[]",
        "[ ]",
        "[,]",
        "[1,]",
        "[1 2]",
        "[1,2]",
        "[1,,2]",
        "{,}",
        "[}",
        "{]",
        r#"{"a":1}"#,
        r#"{"a":1,}"#,
        r#"{"a" :1 , "b": [ ] }"#,
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{a:1}"#,
        r#"{1:1}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"a":1}{}"#,
        r#"{"a":1}x"#,
        "{}\u{0}",
        "\u{feff}{}",
        "nul",
        "null",
        "nulll",
        "true",
        "tru",
        "false",
        "fals",
        "True",
        "0",
        "-0",
        "00",
        "01",
        "-",
        "-1",
        "--1",
        "+1",
        "1.",
        "1.5",
        ".5",
        "1e",
        "1e5",
        "1E+5",
        "1e-5",
        "1e+",
        "1e999",
        "-1e999",
        "1e-999",
        "-0.0",
        "17.0",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "123456789012345678901234567890",
        "0.1",
        "0.30000000000000004",
        "1.7976931348623157e308",
        "5e-324",
        "0x10",
        "1_0",
        "NaN",
        "Infinity",
        r#""""#,
        r#"""#,
        r#""a"#,
        r#""\""#,
        r#""\"""#,
        r#""\\""#,
        r#""\/\b\f\n\r\t""#,
        r#""\x""#,
        r#""\u0041""#,
        r#""\u004""#,
        r#""\u00g0""#,
        r#""\ud83d\ude00""#,
        r#""\ud83d""#,
        r#""\ud83dx""#,
        r#""\ud83d\n""#,
        r#""\ude00""#,
        r#""\ud83d\ud83d""#,
        r#""\uD83D\uDE00é漢""#,
        r#""\u+041""#,
        "\"\u{1}\"",
        "\"\u{1f}\"",
        "\"\u{7f}\u{80}\"",
        "\"a\nb\"",
        "\"漢字漢字漢字漢字\\u0000漢\"",
        "\"0123456789abcdef\\\\0123456789abcdef\"",
        r#"[{"a":[{"b":null}]},"c",true,false,1.5,-3]"#,
        "'a'",
        "// a\n1",
        "/**/1",
        "[1]]",
        "\t\r\n 1 \t\r\n",
        "\u{a0}1",
    ] {
        check::<Value>(text);
        check::<Number>(text);
        check::<String>(text);
        check::<bool>(text);
        check::<Option<i64>>(text);
        check::<Vec<Value>>(text);
        check::<(i64, i64)>(text);
    }
}

#[test]
fn depth() {
    for depth in [126, 127, 128, 129, 1_000_000] {
        let arrays = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        check::<Value>(&arrays);
        check::<Value>(&format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth)));
        // The depth counts open values only.
        check::<Value>(&format!("[{}[]]", "[],".repeat(depth)));
    }
}

proptest! {
    #[test]
    fn any_text(text in r#"[\{\}\[\],:"0-9eE+\-. a-z\\u]{0,60}"#) {
        check::<Value>(&text);
    }

    #[test]
    fn any_string(text in any::<String>(), cut in 0_usize..40) {
        let quoted = serde_json::to_string(&text).unwrap();
        check::<String>(&quoted);
        let cut = (0..=cut.min(quoted.len())).rev().find(|cut| quoted.is_char_boundary(*cut)).unwrap();
        check::<String>(&quoted[..cut]);
    }

    #[test]
    fn any_number(text in "-?(0|[1-9][0-9]{0,22})(\\.[0-9]{1,22})?([eE][+-]?[0-9]{1,3})?") {
        check::<Number>(&text);
        check::<f64>(&text);
        check::<i64>(&text);
    }
}
