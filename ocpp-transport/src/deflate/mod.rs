//! permessage-deflate (RFC 7692): compression of messages.
//!
//! A CSMS must support it and a station may (2.0.1 Part 4, 5.6). A station that does not offer it
//! is served without compression.
//!
//! # Memory
//! A zlib compressor takes 0.2 to 0.3 MiB and a decompressor up to 48 KiB. By default neither side
//! keeps its context from one message to the next. So an idle connection holds no zlib state, and
//! all connections of one [`Deflate`] share a few compressors. [`ContextTakeover::Allowed`]
//! compresses similar messages better, but takes that memory for each connection on which both
//! sides agree to it.
//!
//! # Secrets
//! The length of a compressed message depends on the repetitions in it, and with context takeover
//! also on earlier messages. An attacker who can choose a part of a message and observe the lengths
//! under TLS can guess the rest. In OCPP, strangers can choose only little of a message. Without
//! context takeover, an attacker can guess only within one message.

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

/// permessage-deflate with its settings and the memory that its connections share. Clones share it,
/// too.
#[derive(Clone)]
pub struct Deflate {
    shared: Arc<Shared>,
}

struct Shared {
    settings: DeflateSettings,
    pool: Pool,
}

impl Deflate {
    /// Creates an instance with its own memory.
    #[must_use]
    pub fn new(settings: DeflateSettings) -> Self {
        Self { shared: Arc::new(Shared { settings, pool: Pool::default() }) }
    }

    /// The settings that are offered or granted.
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

/// Why a compressed message of the peer is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeflateError {
    /// Larger than the limit, inflated or compressed.
    #[error("a compressed message is larger than {max} bytes")]
    TooLarge {
        /// The limit in bytes.
        max: usize,
    },
    /// Not valid DEFLATE data.
    #[error("a compressed message cannot be inflated")]
    Corrupt,
    /// Another message began before it ended.
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
