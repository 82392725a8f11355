//! Tokens and keys: `init`, `tokens`, `keygen`, `list`, `destroy`.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use signer_pkcs11::{KeyInfo, PinSource, SlotContent, TokenError, TokenSlot, Uri, init_token, token_slots};

use crate::{
    arguments::{Destroy, Init, Keygen, List},
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
    Ok(Report::new(format!("Token \"{}\" is initialized.", arguments.label), next)
        .fact("token", arguments.label.as_str())
        .fact("serial", uri.serial().unwrap_or_default())
        .fact("uri", uri.to_string()))
}

pub(crate) fn generate(module: Option<PathBuf>, arguments: &Keygen) -> Result<Report> {
    let token = arguments.token.open(module)?;
    let key = progress::generate(&token, &arguments.key.label, arguments.key.kind.algorithm)?;
    let next = format!(
        "request a certificate: hsm csr --token {} --label {} --common-name SERIAL_NUMBER --organization OPERATOR",
        quoted(&arguments.token.uri()),
        quoted(&arguments.key.label)
    );
    Ok(Report::new(
        "The key was generated inside the token. It is sensitive and not extractable, as read back.",
        next,
    )
    .fact("uri", key.uri().to_string())
    .key(&token, &key)
    .fact("public_key", hex::encode(key.public_key().spki_der()))
    .warn_of_readable_pin(&arguments.token))
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
        false => "use the uri of a key in a configuration; every command refuses a key that is not protected",
    };
    let unprotected =
        keys.iter().filter(|key| !is_protected(key)).map(|key| key.label.clone()).collect::<Vec<_>>();
    let report = Report::new(sentence, next)
        .items("keys", keys.iter().map(describe).collect())
        .warn_of_readable_pin(&arguments.token);
    Ok(unprotected.into_iter().fold(report, |report, label| {
        report.warning(format!("key \"{label}\" can be exported or read: destroy it and generate a new one"))
    }))
}

pub(crate) fn tokens(module: Option<PathBuf>) -> Result<Report> {
    let module = module.ok_or(TokenError::NoModule)?;
    let slots = token_slots(&module)?;
    let count = |is: fn(&SlotContent) -> bool| slots.iter().filter(|slot| is(&slot.token)).count();
    let tokens = count(|token| matches!(token, SlotContent::Token(token) if token.is_initialized));
    let unreadable = count(|token| matches!(token, SlotContent::Unreadable(_)));
    let sentence = format!(
        "The module {} has {}, and {}.",
        module.display(),
        counted(slots.len(), "slot"),
        counted(tokens, "initialized token"),
    );
    let next = match tokens {
        0 => "initialize a token: hsm init --label NAME --pin-file PIN_FILE --so-pin-file SO_PIN_FILE",
        _ => "use the uri of a token, with a pin-source, as --token",
    };
    let report = Report::new(sentence, next).items("slots", slots.iter().map(describe_slot).collect());
    Ok(match unreadable {
        0 => report,
        count => report.warning(format!(
            "{} cannot be read, and its token cannot be used: see its state",
            counted(count, "slot")
        )),
    })
}

fn counted(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

fn describe_slot(slot: &TokenSlot) -> Vec<Fact> {
    let mut facts: Vec<Fact> = vec![
        ("slot_id", slot.slot_id.into()),
        ("slot_description", slot.description.as_str().into()),
        ("slot_manufacturer", slot.manufacturer.as_str().into()),
    ];
    match &slot.token {
        SlotContent::Token(token) => {
            let state = match (token.is_initialized, token.has_user_pin) {
                (true, true) => "initialized",
                (true, false) => "initialized, without a user PIN",
                (false, _) => "not initialized",
            };
            facts.push(("state", state.into()));
            if token.is_initialized {
                facts.push(("token", token.label.as_str().into()));
                facts.push(("uri", token.uri().to_string().into()));
            }
            facts.push(("serial", token.serial.as_str().into()));
            facts.push(("manufacturer", token.manufacturer.as_str().into()));
            facts.push(("model", token.model.as_str().into()));
        }
        SlotContent::Unreadable(fault) => facts.push(("state", format!("cannot be read: {fault}").into())),
        _ => facts.push(("state", "no token".into())),
    }
    facts
}

pub(crate) fn destroy(module: Option<PathBuf>, arguments: &Destroy) -> Result<Report> {
    let key: Uri = arguments.key.parse()?;
    let token = arguments.token.open(module)?;
    token.destroy_key(&key)?;
    let next = "make sure that no configuration names the key any more, and revoke the certificates for it";
    Ok(Report::new(
        "Both halves of the key pair are destroyed, and the token does not list them any more.",
        next,
    )
    .fact("key", key.to_string()))
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
