//! permessage-deflate (RFC 7692): messages that travel compressed.
//!
//! A CSMS has to support it and a station may (2.0.1 Part 4, 5.6). A station that does not offer it
//! is served without.
//!
//! # Memory
//! A compressor of zlib takes 0.2 to 0.3 MiB and a decompressor up to 48 KiB. By default neither
//! side takes its context from one message into the next, so a connection that is idle holds
//! nothing, and all connections of one [`Deflate`] share a few compressors.
//! [`ContextTakeover::Allowed`] compresses similar messages better, at the price of that memory for
//! each connection for which both sides agree to it.
//!
//! # Secrets
//! The length of a compressed message tells how much it has in common with itself, and with context
//! takeover also with those before it. Who can choose a part of a message and watch the lengths
//! under TLS can so guess at the rest. OCPP gives strangers little to choose; without context
//! takeover there is no more than one message to guess at.

mod codec;
mod header;
mod inbound;
mod negotiation;
mod pool;
mod settings;

use std::fmt;
use std::sync::Arc;

pub use codec::{Compressor, Decompressor};
pub(crate) use inbound::BAD_GATEWAY;
pub use inbound::{Inbound, Progress};
pub use negotiation::{Agreed, NegotiationError};
use pool::Pool;
pub use settings::{ContextTakeover, DeflateSettings, WindowBits};

/// permessage-deflate with its settings, and with the memory that its connections share. Clones
/// share it, too.
#[derive(Clone)]
pub struct Deflate {
    shared: Arc<Shared>,
}

struct Shared {
    settings: DeflateSettings,
    pool: Pool,
}

impl Deflate {
    /// With memory of its own.
    #[must_use]
    pub fn new(settings: DeflateSettings) -> Self {
        Self { shared: Arc::new(Shared { settings, pool: Pool::default() }) }
    }

    /// What it offers or grants.
    #[must_use]
    pub fn settings(&self) -> DeflateSettings {
        self.shared.settings
    }

    fn pool(&self) -> &Pool {
        &self.shared.pool
    }
}

impl Default for Deflate {
    fn default() -> Self {
        Self::new(DeflateSettings::default())
    }
}

impl fmt::Debug for Deflate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Deflate").field(&self.shared.settings).finish()
    }
}

/// What a peer did wrong in a compressed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeflateError {
    /// More than the limit, inflated or as it came.
    #[error("a compressed message is larger than {max} bytes")]
    TooLarge {
        /// The limit in bytes.
        max: usize,
    },
    /// No DEFLATE.
    #[error("a compressed message cannot be inflated")]
    Corrupt,
    /// Another message began in the middle of it.
    #[error("a message began before the compressed one had ended")]
    Interrupted,
}

impl DeflateError {
    /// The status code of RFC 6455, section 7.4, with which the connection is closed.
    #[must_use]
    pub fn close_code(self) -> u16 {
        match self {
            Self::TooLarge { .. } => 1009,
            Self::Corrupt => 1007,
            Self::Interrupted => 1002,
        }
    }
}

#[cfg(test)]
mod tests;
