//! `selftest`: checks that a token generates keys, signs with them and destroys them.

use std::{path::PathBuf, time::Instant};

use anyhow::{Result, bail};
use program::{causes, in_one_line};
use signer_pkcs11::{KeyAlgorithm, KeyError, KeyInfo, KeyName, Token};

use crate::{
    arguments::Selftest,
    key_arguments::is_meant,
    output::{Fact, Report},
};

pub(crate) fn run(module: Option<PathBuf>, arguments: &Selftest) -> Result<Report> {
    let token = arguments.token.open(module)?;
    let (label, id) = (arguments.label.as_deref(), arguments.id.as_ref());
    let is_single = label.is_some() || id.is_some();
    let keys: Vec<_> = token.keys()?.into_iter().filter(|key| is_meant(label, id, key)).collect();
    if is_single && keys.is_empty() {
        bail!("no key has this label or id: `hsm list` shows the keys of the token");
    }
    let tested: Vec<_> = keys.iter().map(|key| (key, test(&token, key))).collect();
    let generated = match is_single || arguments.existing_only {
        true => None,
        false => Some(generate(&token, arguments.algorithm)),
    };
    let failed = tested.iter().filter(|(_, verdict)| verdict.is_err()).count();
    let has_failed = failed > 0 || matches!(generated, Some(Err(_)));
    let name = token.label();
    let mut sentence = match failed {
        0 => format!("Token \"{name}\" passed with {} keys.", keys.len()),
        count => format!("Token \"{name}\" failed with {count} of {} keys.", keys.len()),
    };
    match &generated {
        Some(Ok(algorithm)) => {
            sentence += &format!(" It generated a key of {algorithm}, signed with it and destroyed it.");
        }
        Some(Err(_)) => {
            sentence = format!("Token \"{name}\" failed, because it cannot be used for a new key.")
        }
        None => {}
    }
    let next = if has_failed { "follow the verdicts, or use another token" } else { "nothing to do" };
    let mut report = Report::new(sentence, next)
        .items("keys", tested.iter().map(|(key, verdict)| describe(key, verdict)).collect())
        .warn_of_readable_pin(&arguments.token);
    report = match generated {
        None => report.fact("generated", serde_json::Value::Null),
        Some(Ok(algorithm)) => report.fact("generated", algorithm.to_string()),
        Some(Err(error)) => {
            report.fact("generated", false).fact("new_key", causes(error.as_ref()).to_string())
        }
    };
    Ok(if has_failed { report.failed() } else { report })
}

/// Signs with a key. `None`: the key has been destroyed meanwhile.
fn test(token: &Token, info: &KeyInfo) -> Result<Option<u128>, KeyError> {
    let begin = Instant::now();
    let proven = token.find_key(&info.uri).and_then(|key| key.prove());
    match proven {
        Ok(()) => Ok(Some(begin.elapsed().as_millis())),
        Err(error) => match token.find_key(&info.uri) {
            Err(KeyError::NotFound { .. }) => Ok(None),
            _ => Err(error),
        },
    }
}

/// Generates a key, which includes a test signature, and destroys it.
fn generate(token: &Token, algorithm: Option<KeyAlgorithm>) -> Result<KeyAlgorithm> {
    let of_kind = |algorithm| -> Result<KeyAlgorithm, KeyError> {
        let name = KeyName::random(LABEL)?;
        // Two concurrent tests must not use the same label.
        let name = KeyName::new(format!("{LABEL} {}", hex::encode(&name.id()[..4])), name.id())?;
        let key = token.generate_key(&name, algorithm)?;
        token.destroy_key(key.uri())?;
        Ok(algorithm)
    };
    Ok(match algorithm {
        Some(algorithm) => of_kind(algorithm)?,
        None => match of_kind(KeyAlgorithm::EcdsaP256) {
            Err(KeyError::Unsupported { .. } | KeyError::Generate { .. }) => of_kind(KeyAlgorithm::Rsa2048)?,
            other => other?,
        },
    })
}

fn describe(key: &KeyInfo, verdict: &Result<Option<u128>, KeyError>) -> Vec<Fact> {
    let text = match verdict {
        Ok(Some(milliseconds)) => format!("signs, and the signature verifies ({milliseconds} ms)"),
        Ok(None) => "not tested, because it was destroyed meanwhile".to_owned(),
        Err(error) => in_one_line(error),
    };
    vec![
        ("label", key.label.as_str().into()),
        ("id", hex::encode(&key.id).into()),
        ("kind", key.kind.as_str().into()),
        ("passed", verdict.is_ok().into()),
        ("verdict", text.into()),
    ]
}

/// Shows the purpose of the key if a crash leaves it in the token.
const LABEL: &str = "hsm selftest";
