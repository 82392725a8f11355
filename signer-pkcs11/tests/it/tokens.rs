//! Opening tokens: found, not found, and a PIN that is sent once.

use cryptoki::{session::UserType, types::AuthPin};
use signer_pkcs11::{
    KeyAlgorithm, KeyError, KeyName, Pin, PinSource, SlotContent, Token, TokenError, TokenOptions, TokenSlot,
    Uri, init_token, token_slots,
};

use crate::softhsm::{PIN, SO_PIN, module, new_token, options, slot, stranger, token};

#[test]
fn a_token_is_found_by_label_and_by_serial() {
    let uri = new_token("find");
    let by_label = Token::open(&Uri::new().with_token(uri.token().unwrap()), &options()).unwrap();
    let by_serial = Token::open(&Uri::new().with_serial(uri.serial().unwrap()), &options()).unwrap();
    assert_eq!(by_label.label(), by_serial.label());
    assert_eq!(by_label.uri(), &Uri::new().with_token(uri.token().unwrap()));
    assert_eq!(by_serial.uri(), &Uri::new().with_serial(uri.serial().unwrap()));
}

#[test]
fn a_wrong_pin_is_tried_exactly_once() {
    let uri = new_token("wrong-pin");
    let label = uri.token().unwrap();
    let wrong = options().pin(Pin::new("9999"));
    let error = Token::open(&uri, &wrong).unwrap_err();
    assert!(matches!(&error, TokenError::PinIncorrect { token } if token == label), "{error}");
    assert!(error.to_string().contains("tried once"), "{error}");

    // Makes the wrong PIN the right one without this crate: an attempt would succeed now. No
    // attempt is made.
    let context = stranger();
    let slot = slot(&context, label);
    assert!(context.get_token_info(slot).unwrap().user_pin_count_low());
    let session = context.open_rw_session(slot).unwrap();
    session.login(UserType::So, Some(&AuthPin::from(SO_PIN.to_owned()))).unwrap();
    session.init_pin(&AuthPin::from("9999".to_owned())).unwrap();
    session.logout().unwrap();
    let error = Token::open(&uri, &wrong).unwrap_err();
    assert!(matches!(error, TokenError::PinRefusedBefore { .. }), "{error}");

    // Another PIN is another attempt.
    assert!(matches!(Token::open(&uri, &options()).unwrap_err(), TokenError::PinIncorrect { .. }));
}

#[test]
fn another_pin_does_not_slip_in_behind_an_open_login() {
    let uri = new_token("other-pin");
    let open = Token::open(&uri, &options()).unwrap();
    let error = Token::open(&uri, &options().pin(Pin::new("0000"))).unwrap_err();
    assert!(matches!(error, TokenError::PinDiffers { .. }), "{error}");
    drop(open);
}

#[test]
fn a_missing_pin_is_asked_for() {
    let uri = new_token("no-pin");
    let error = Token::open(&uri, &TokenOptions::new().module(module())).unwrap_err();
    assert!(matches!(error, TokenError::PinMissing { .. }), "{error}");
    assert!(error.to_string().contains("pin-source=file:"), "{error}");
}

#[test]
fn the_pin_is_read_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pin");
    std::fs::write(&file, format!("{PIN}\n")).unwrap();
    let uri = new_token("pin-file").with_module_path(module()).with_pin_source(PinSource::File(file));
    let token = Token::open(&uri, &TokenOptions::new()).unwrap();
    let (names, label) = (token.uri().to_string(), token.label().to_owned());
    assert!(!names.contains("module-path") && !names.contains("pin-source"), "{names}");

    let missing = uri.with_pin_source(PinSource::File(folder.path().join("none")));
    let error = Token::open(&missing, &TokenOptions::new()).unwrap_err();
    assert!(matches!(error, TokenError::PinUnreadable { .. }), "{error}");
    // The token would count an empty PIN as a wrong one.
    let serial = token.serial().to_owned();
    drop(token);
    for text in ["", "\r\n", "\u{feff}"] {
        let empty = folder.path().join("empty");
        std::fs::write(&empty, text).unwrap();
        let uri = Uri::new().with_serial(&*serial).with_pin_source(PinSource::File(empty));
        let error = Token::open(&uri, &options()).unwrap_err();
        assert!(matches!(error, TokenError::PinEmpty { .. }), "{error}");
    }
    let context = stranger();
    let info = context.get_token_info(slot(&context, &label)).unwrap();
    assert!(!info.user_pin_count_low(), "no attempt was made");
    let unset = Uri::new().with_token(label).with_pin_source(PinSource::Environment("NO_SUCH_PIN".into()));
    let error = Token::open(&unset, &options()).unwrap_err();
    assert!(error.to_string().contains("env:NO_SUCH_PIN"), "{error}");
}

#[test]
fn no_such_token_lists_those_that_exist() {
    let other = token("present");
    let error = Token::open(&Uri::new().with_token("absent"), &options()).unwrap_err();
    let TokenError::TokenNotFound { slots, .. } = &error else { panic!("{error}") };
    let labels = slots.iter().filter_map(|slot| match &slot.token {
        SlotContent::Token(token) => Some(token.label.as_str()),
        _ => None,
    });
    assert!(labels.into_iter().any(|label| label == other.label()), "{error}");
    assert!(error.to_string().contains("no token matches pkcs11:token=absent; the tokens are \""), "{error}");
}

#[test]
fn a_uri_that_fits_several_tokens_is_refused() {
    let _a = token("several");
    let _b = token("several");
    let error = Token::open(&Uri::new(), &options()).unwrap_err();
    assert!(matches!(error, TokenError::Ambiguous { .. }), "{error}");
    // The message shows how two tokens with one label differ.
    let (first, second) = (new_token("same"), new_token("same"));
    let label = first.token().unwrap();
    let context = stranger();
    let other = slot(&context, second.token().unwrap());
    context.init_token(other, &AuthPin::from(SO_PIN.to_owned()), label).unwrap();
    let error = Token::open(&Uri::new().with_token(label), &options()).unwrap_err().to_string();
    for uri in [&first, &second] {
        let shown = format!("\"{label}\" (serial {})", uri.serial().unwrap());
        assert!(error.contains(&shown) && error.contains("serial= or slot-id="), "{error}");
    }
    Token::open(&first, &options()).unwrap();
}

/// RFC 7512: each attribute restricts the result.
#[test]
fn a_token_is_found_by_its_slot_and_its_library() {
    let uri = new_token("slots");
    let label = uri.token().unwrap();
    let slots = token_slots(&module()).unwrap();
    let is_it = |slot: &&TokenSlot| matches!(&slot.token, SlotContent::Token(token) if token.label == label);
    let found = slots.iter().find(is_it).unwrap();
    let SlotContent::Token(token) = &found.token else { panic!("{found:?}") };
    assert_eq!(token.uri(), uri);
    let written = |attributes: &[(&str, &str)]| {
        let mut text = format!("pkcs11:token={label}");
        for (name, value) in attributes {
            let value: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
            text += &format!(";{name}={value}");
        }
        text.parse::<Uri>().unwrap()
    };
    let right = [
        ("slot-description", found.description.as_str()),
        ("slot-manufacturer", &found.manufacturer),
        ("library-manufacturer", "SoftHSM"),
        ("library-description", "Implementation of PKCS11"),
        ("manufacturer", "SoftHSM project"),
        ("model", &token.model),
        ("serial", &token.serial),
    ];
    let open = Token::open(&written(&right), &options()).unwrap();
    let key = open.generate_key(&KeyName::random("k").unwrap(), KeyAlgorithm::EcdsaP256).unwrap();
    for (name, _) in right {
        let wrong = written(&[(name, "other")]);
        let error = Token::open(&wrong, &options()).unwrap_err();
        assert!(matches!(error, TokenError::TokenNotFound { .. }), "{name}: {error}");
        // The same holds for the URI of a key.
        let of_key = wrong.with_object("k").with_id(key.name().id());
        let error = open.find_key(&of_key).unwrap_err();
        assert!(matches!(error, KeyError::OtherToken { .. }), "{name}: {error}");
        assert!(matches!(open.destroy_key(&of_key), Err(KeyError::OtherToken { .. })), "{name}");
    }
    let version = |version: &str| format!("pkcs11:token={label};library-version={version}").parse().unwrap();
    Token::open(&version("2"), &options()).unwrap();
    assert!(Token::open(&version("99"), &options()).is_err());
}

/// Tokens count a PIN of a wrong length as a wrong one.
#[test]
fn a_pin_of_a_wrong_length_costs_no_attempt() {
    let uri = new_token("length");
    for pin in ["1".to_owned(), "123".to_owned(), "1".repeat(256)] {
        let error = Token::open(&uri, &options().pin(Pin::new(pin))).unwrap_err();
        assert!(matches!(error, TokenError::PinLength { min: 4, max: 255 }), "{error}");
        assert!(error.to_string().contains("it was not tried"), "{error}");
    }
    let context = stranger();
    let info = context.get_token_info(slot(&context, uri.token().unwrap())).unwrap();
    assert!(!info.user_pin_count_low(), "no attempt was made");
    Token::open(&uri, &options()).unwrap();
}

/// The loader reports a module for another processor as a file that does not exist.
#[cfg(target_os = "linux")]
#[test]
fn a_module_for_another_processor_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let own = std::fs::read(module()).unwrap();
    let other_machine = if own[18] == 183 { (62, "x86-64, 64 bits") } else { (183, "AArch64, 64 bits") };
    for (name, at, byte, expected) in
        [("machine.so", 18, other_machine.0, other_machine.1), ("class.so", 4, 1, "32 bits")]
    {
        let file = folder.path().join(name);
        let mut bytes = own.clone();
        bytes[at] = byte;
        std::fs::write(&file, bytes).unwrap();
        let uri = Uri::new().with_token("a").with_module_path(&file);
        let error = Token::open(&uri, &TokenOptions::new()).unwrap_err();
        assert!(matches!(error, TokenError::ModuleArchitecture { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&format!("it is for {}", expected)) || text.contains(expected), "{text}");
        assert!(text.contains("and this program is for"), "{text}");
    }
}

#[test]
fn a_module_that_is_not_there() {
    let uri = Uri::new().with_token("a").with_module_path("/nonexistent/libhsm.so");
    let error = Token::open(&uri, &TokenOptions::new()).unwrap_err();
    assert!(matches!(error, TokenError::ModuleNotFound { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("/nonexistent/libhsm.so") && text.contains("install"), "{text}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("not-a-library.so");
    std::fs::write(&file, "hello").unwrap();
    let error = Token::open(&uri.clone().with_module_path(file), &TokenOptions::new()).unwrap_err();
    assert!(matches!(error, TokenError::ModuleNotFound { .. }), "{error}");

    let error = Token::open(&Uri::new().with_token("a"), &TokenOptions::new()).unwrap_err();
    assert!(matches!(error, TokenError::NoModule), "{error}");
}

#[test]
fn initialising_does_not_touch_what_exists() {
    let uri = new_token("twice");
    let pins = (Pin::new(SO_PIN), Pin::new(PIN));
    let error = init_token(&module(), uri.token().unwrap(), &pins.0, &pins.1).unwrap_err();
    assert!(matches!(error, TokenError::TokenExists { .. }), "{error}");
    let error = init_token(&module(), &"x".repeat(33), &pins.0, &pins.1).unwrap_err();
    assert!(matches!(error, TokenError::Label { .. }), "{error}");
    for label in ["", " a", "a ", "a\n"] {
        let error = init_token(&module(), label, &pins.0, &pins.1).unwrap_err();
        assert!(error.to_string().contains("no blank at either end"), "{error}");
    }
    let error = init_token(&module(), "short-pin", &pins.0, &Pin::new("1")).unwrap_err();
    assert!(matches!(error, TokenError::PinLength { min: 4, max: 255 }), "{error}");
    Token::open(&uri, &options()).unwrap();
}

#[test]
fn a_token_that_was_left_without_a_user_pin_gets_it() {
    let uri = new_token("neighbour");
    let context = stranger();
    let label = format!("half-{}", &uri.token().unwrap()["neighbour-".len()..]);
    let free = {
        let slots = context.get_slots_with_token().unwrap();
        let is_free = |slot: &cryptoki::slot::Slot| {
            context.get_token_info(*slot).is_ok_and(|info| !info.token_initialized())
        };
        slots.into_iter().find(is_free).unwrap()
    };
    let so_pin = AuthPin::from(SO_PIN.to_owned());
    context.init_token(free, &so_pin, &label).unwrap();
    let pins = (Pin::new(SO_PIN), Pin::new(PIN));
    // The PIN of another security officer is refused.
    let error = init_token(&module(), &label, &Pin::new("87654321"), &pins.1).unwrap_err();
    assert!(matches!(error, TokenError::SoPin { .. }), "{error}");
    assert!(error.to_string().contains("give the one that it was initialized with"), "{error}");
    let made = init_token(&module(), &label, &pins.0, &pins.1).unwrap();
    Token::open(&made, &options()).unwrap();
    let error = init_token(&module(), &label, &pins.0, &pins.1).unwrap_err();
    assert!(matches!(error, TokenError::TokenExists { .. }), "{error}");
}
