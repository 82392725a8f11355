//! The slots of a module, for a person who looks for a token.

use std::path::Path;

use crate::{
    io::token::{
        errors::TokenError,
        module::{Library, restart_lock::Hung},
        options::CALL_TIMEOUT,
    },
    token::slot::TokenSlot,
};

/// Lists the slots of a module and the tokens in them, also those that are empty, not initialized
/// or cannot be read. Needs no PIN. Blocks.
///
/// # Errors
/// [`TokenError`], at the latest after 30 s.
pub fn token_slots(module: &Path) -> Result<Vec<TokenSlot>, TokenError> {
    Library::find(module)?.run(CALL_TIMEOUT, |module, _| {
        let _permit = module.restart_lock().enter().map_err(|Hung| TokenError::Hung)?;
        let _guard = module.slots();
        module.all_slots()
    })
}
