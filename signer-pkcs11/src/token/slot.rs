//! Slots and tokens, as a module reports them, and which of them a URI names.

use pkcs11_info::TokenInfo;

use crate::token::{fault::TokenFault, uri::Uri};

/// A slot of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenSlot {
    /// The slot's number. On many tokens it changes with each start.
    pub slot_id: u64,
    /// The slot's description.
    pub description: String,
    /// The slot's manufacturer.
    pub manufacturer: String,
    /// The token in the slot.
    pub token: SlotContent,
}

/// What is in a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotContent {
    /// No token.
    Empty,
    /// A token.
    Token(TokenDescription),
    /// A token that the module cannot read. It cannot be used.
    Unreadable(TokenFault),
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenDescription {
    /// The label.
    pub label: String,
    /// The serial number. Some tokens have none.
    pub serial: String,
    /// The manufacturer.
    pub manufacturer: String,
    /// The model.
    pub model: String,
    /// Whether it is initialized. Only such tokens can be opened.
    pub is_initialized: bool,
    /// Whether a user PIN is set.
    pub has_user_pin: bool,
}

/// What a module reports about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LibraryDescription {
    pub(crate) manufacturer: String,
    pub(crate) description: String,
    pub(crate) version: (u8, u8),
}

impl TokenDescription {
    pub(crate) fn new(info: &TokenInfo) -> Self {
        Self {
            label: info.label.clone(),
            serial: info.serial.clone(),
            manufacturer: info.manufacturer.clone(),
            model: info.model.clone(),
            is_initialized: info.is_initialized,
            has_user_pin: info.has_user_pin,
        }
    }

    /// The URI by which the token is found: its label, and its serial number if it has one.
    #[must_use]
    pub fn uri(&self) -> Uri {
        let uri = Uri::new().with_token(&self.label);
        if self.serial.is_empty() { uri } else { uri.with_serial(&self.serial) }
    }
}

impl TokenSlot {
    /// The token, if it can be opened.
    pub(crate) fn initialized(&self) -> Option<&TokenDescription> {
        match &self.token {
            SlotContent::Token(token) if token.is_initialized => Some(token),
            _ => None,
        }
    }

    /// Whether the URI names this slot's token: every attribute of it for slots, tokens and
    /// libraries matches (RFC 7512 §2.6).
    pub(crate) fn fits(&self, uri: &Uri, library: &LibraryDescription) -> bool {
        let Some(token) = self.initialized() else { return false };
        let same = |wanted: Option<&str>, is: &str| wanted.is_none_or(|wanted| wanted == is);
        same(uri.token(), &token.label)
            && same(uri.serial(), &token.serial)
            && same(uri.manufacturer(), &token.manufacturer)
            && same(uri.model(), &token.model)
            && same(uri.slot_description(), &self.description)
            && same(uri.slot_manufacturer(), &self.manufacturer)
            && uri.slot_id().is_none_or(|id| id == self.slot_id)
            && same(uri.library_manufacturer(), &library.manufacturer)
            && same(uri.library_description(), &library.description)
            && uri.library_version().is_none_or(|(major, minor)| {
                major == library.version.0 && minor.is_none_or(|minor| minor == library.version.1)
            })
    }
}
