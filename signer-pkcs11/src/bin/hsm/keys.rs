//! Tokens and keys: `init`, `keygen`, `list`, `selftest`, `destroy`.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context as _, Result, bail};
use signer_pkcs11::{KeyInfo, PinSource, TokenError, Uri, init_token};

use crate::{
    arguments::{Destroy, Init, Keygen, List, Selftest},
    output::{Fact, Report, protection, quoted},
    progress,
};

pub(crate) fn init(module: Option<PathBuf>, arguments: &Init) -> Result<Report> {
    let module = module.ok_or(TokenError::NoModule)?;
    let pin = arguments.pin.read()?.context("give --pin-file or --pin-env for the new user PIN")?;
    let uri = init_token(&module, &arguments.label, &arguments.so_pin.read()?, &pin)?;
    let token = Uri::new().with_token(&*arguments.label).with_pin_source(PinSource::File("PIN_FILE".into()));
    let next = format!(
        "keep the security officer's PIN offline, then generate a key: hsm keygen --token {} --label NAME",
        quoted(&token.to_string())
    );
    Ok(Report::new(format!("Token \"{}\" is initialised.", arguments.label), next)
        .fact("token", arguments.label.as_str())
        .fact("serial", uri.serial().unwrap_or_default())
        .fact("uri", uri.to_string()))
}

pub(crate) fn generate(module: Option<PathBuf>, arguments: &Keygen) -> Result<Report> {
    let token = arguments.token.open(module)?;
    let key = progress::generate(&token, &arguments.label, arguments.kind.algorithm)?;
    let next = format!(
        "have it certified: hsm csr --token {} --label {} --common-name SERIAL_NUMBER --organization OPERATOR",
        quoted(arguments.token.uri()),
        quoted(&arguments.label)
    );
    Ok(Report::new(
        "The key was generated inside the token. It is sensitive and not extractable, as read back.",
        next,
    )
    .fact("uri", key.uri().to_string())
    .key(&token, &key)
    .fact("public_key", hex::encode(key.public_key().spki_der()))
    .careless(&arguments.token))
}

pub(crate) fn list(module: Option<PathBuf>, arguments: &List) -> Result<Report> {
    let token = arguments.token.open(module)?;
    let keys = token.keys()?;
    let sentence = match keys.len() {
        0 => format!("Token \"{}\" holds no keys.", token.label()),
        1 => format!("Token \"{}\" holds 1 key.", token.label()),
        count => format!("Token \"{}\" holds {count} keys.", token.label()),
    };
    let next = match keys.is_empty() {
        true => "generate a key: hsm keygen --token URI --label NAME",
        false => {
            "name a key in a configuration by its uri; a key that is not protected is refused by every command"
        }
    };
    let unprotected =
        keys.iter().filter(|key| !is_protected(key)).map(|key| key.label.clone()).collect::<Vec<_>>();
    let report = Report::new(sentence, next)
        .items("keys", keys.iter().map(describe).collect())
        .careless(&arguments.token);
    Ok(unprotected.into_iter().fold(report, |report, label| {
        report.warning(format!(
            "key \"{label}\" can leave the token or be read: destroy it and generate a new one"
        ))
    }))
}

pub(crate) fn selftest(module: Option<PathBuf>, arguments: &Selftest) -> Result<Report> {
    let token = arguments.token.open(module)?;
    let wanted = |key: &KeyInfo| arguments.label.as_ref().is_none_or(|label| *label == key.label);
    let keys: Vec<_> = token.keys()?.into_iter().filter(wanted).collect();
    if let (Some(label), true) = (&arguments.label, keys.is_empty()) {
        bail!("no key is labelled \"{label}\": `hsm list` shows the keys of the token");
    }
    let mut failed = Vec::new();
    let items = keys.iter().map(|info| {
        let begin = Instant::now();
        let proven = token.find_key(&info.uri).and_then(|key| key.prove());
        let passed = proven.is_ok();
        let verdict = match proven {
            Ok(()) => format!("signs, and the signature verifies ({} ms)", begin.elapsed().as_millis()),
            Err(error) => {
                failed.push(info.label.clone());
                format!("{:#}", anyhow::Error::from(error))
            }
        };
        vec![
            ("label", info.label.as_str().into()),
            ("kind", info.kind.as_str().into()),
            ("passed", passed.into()),
            ("verdict", verdict.into()),
        ]
    });
    let items = items.collect();
    let (sentence, next) = match failed.len() {
        0 => (
            format!("Token \"{}\" passed with {} keys.", token.label(), keys.len()),
            "nothing has to be done",
        ),
        count => (
            format!("Token \"{}\" failed with {count} of {} keys.", token.label(), keys.len()),
            "do what the verdicts say, or generate new keys",
        ),
    };
    let report = Report::new(sentence, next).items("keys", items).careless(&arguments.token);
    Ok(if failed.is_empty() { report } else { report.failed() })
}

pub(crate) fn destroy(module: Option<PathBuf>, arguments: &Destroy) -> Result<Report> {
    let key: Uri = arguments.key.parse()?;
    let token = arguments.token.open(module)?;
    token.destroy_key(&key)?;
    let next = "make sure that no configuration names the key any more, and revoke the certificates for it";
    Ok(Report::new("The key pair is destroyed, both halves.", next).fact("key", key.to_string()))
}

fn is_protected(key: &KeyInfo) -> bool {
    key.sensitive == Some(true) && key.extractable == Some(false)
}

fn describe(key: &KeyInfo) -> Vec<Fact> {
    let mut facts: Vec<Fact> = vec![
        ("label", key.label.as_str().into()),
        ("uri", key.uri.to_string().into()),
        ("id", hex::encode(&key.id).into()),
        ("kind", key.kind.as_str().into()),
    ];
    facts.extend(protection(key));
    facts.push(("may_sign", key.sign.into()));
    facts.push(("asks_for_pin_each_time", key.always_authenticate.into()));
    facts
}
