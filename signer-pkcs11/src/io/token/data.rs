//! Small data objects in a token, beside its keys.

use cryptoki::object::{Attribute, AttributeType, ObjectClass};

use crate::io::{
    key::inventory::is_gone,
    token::{Token, errors::TokenError},
};

impl Token {
    /// Reads the private data objects of this application with this label. Usually there is one or
    /// none. There are two after an interrupted replacement. Blocks.
    ///
    /// # Errors
    /// [`TokenError`]
    pub fn read_data(&self, application: &str, label: &str) -> Result<Vec<Vec<u8>>, TokenError> {
        let template = template(application, label);
        self.with_session(move |session| {
            let login = session.get_session_info()?.session_state();
            let mut values = Vec::new();
            for handle in session.find_objects(&template)? {
                match session.get_attributes(handle, &[AttributeType::Value]) {
                    Ok(attributes) => values.extend(attributes.into_iter().filter_map(value)),
                    // Another process has replaced it.
                    Err(_) if is_gone(session, login, ObjectClass::DATA, handle) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(values)
        })
    }

    /// Replaces the private data object of this application with this label. The new object is
    /// created before the old one is destroyed, so that at least one of them exists at any time.
    /// Blocks.
    ///
    /// # Errors
    /// [`TokenError`], also from tokens that do not support data objects.
    pub fn write_data(&self, application: &str, label: &str, value: &[u8]) -> Result<(), TokenError> {
        let template = template(application, label);
        let mut object = template.clone();
        object.extend([Attribute::Private(true), Attribute::Value(value.to_vec())]);
        self.with_session(move |session| {
            let login = session.get_session_info()?.session_state();
            let earlier = session.find_objects(&template)?;
            session.create_object(&object)?;
            earlier.into_iter().try_for_each(|handle| match session.destroy_object(handle) {
                Err(error) if !is_gone(session, login, ObjectClass::DATA, handle) => Err(error),
                _ => Ok(()),
            })
        })
    }
}

fn value(attribute: Attribute) -> Option<Vec<u8>> {
    if let Attribute::Value(value) = attribute { Some(value) } else { None }
}

fn template(application: &str, label: &str) -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::DATA),
        Attribute::Token(true),
        Attribute::Application(application.into()),
        Attribute::Label(label.into()),
    ]
}
