//! The token of the configuration, and the keys in it.

use signer_pkcs11::{Key, Token, TokenConfig, TokenOptions, Uri, module_from_environment};

use crate::{config::Config, service::io::server_error::ServerError};

/// Opens the token if the configuration has one, and creates the ledger's folder. Blocks.
pub(crate) fn open_token(config: &Config) -> Result<Option<Token>, ServerError> {
    // No other user may use the ledger and the socket in the folder.
    program::make_private_folder(&config.directory).map_err(ServerError::file(&config.directory))?;
    let Some(section) = &config.token else { return Ok(None) };
    Ok(Some(Token::open(&section.uri, &options(section))?))
}

/// The options for a token of the configuration.
pub(crate) fn options(section: &TokenConfig) -> TokenOptions {
    let mut options = TokenOptions::configured(section);
    options.module = module_from_environment();
    options
}

/// Finds a key in the token. Blocks.
pub(crate) fn find_key(token: Option<&Token>, field: &'static str, uri: &Uri) -> Result<Key, ServerError> {
    let token = token.ok_or(ServerError::NoToken)?;
    token.find_key(uri).map_err(|source| ServerError::Key { field, source })
}
