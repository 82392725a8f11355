//! The parameters that a side offers or grants (RFC 7692, section 7.1).

/// Whether a compressor refers to earlier messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ContextTakeover {
    /// Each message is compressed independently.
    #[default]
    Forbidden,
    /// Messages may refer to earlier ones if the other side allows it, too.
    Allowed,
}

/// The base-2 logarithm of the size of a window in bytes, 9 to 15.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowBits(u8);

impl WindowBits {
    /// 512 bytes.
    pub const MIN: Self = Self(9);
    /// 32 KiB.
    pub const MAX: Self = Self(15);

    /// `None` outside 9 to 15. RFC 7692 also has 8, but zlib has no raw window of 256 bytes.
    #[must_use]
    pub const fn new(bits: u8) -> Option<Self> {
        if bits >= Self::MIN.0 && bits <= Self::MAX.0 { Some(Self(bits)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// The parameters that a side offers or grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeflateSettings {
    /// For messages of this side. Default: forbidden. If allowed, it takes up to 0.3 MiB for each
    /// connection.
    pub own_takeover: ContextTakeover,
    /// For messages of the peer. Default: forbidden. If allowed, it takes up to 48 KiB for each
    /// connection.
    pub peer_takeover: ContextTakeover,
    /// The largest window of this side's compressor. Default 15.
    pub own_window_bits: WindowBits,
    /// The largest window of the peer's compressor, if the peer supports a limit. Default 15.
    pub peer_window_bits: WindowBits,
    /// Shorter messages are sent uncompressed. Default 256 bytes: below that, compression saves no
    /// packet.
    pub min_bytes: usize,
    /// zlib's level, 1 (fast) to 9 (small). Default 3.
    pub level: u32,
}

impl DeflateSettings {
    /// Sets whether messages of this side may refer to earlier ones.
    #[must_use]
    pub fn with_own_takeover(self, own_takeover: ContextTakeover) -> Self {
        Self { own_takeover, ..self }
    }

    /// Sets whether messages of the peer may refer to earlier ones.
    #[must_use]
    pub fn with_peer_takeover(self, peer_takeover: ContextTakeover) -> Self {
        Self { peer_takeover, ..self }
    }

    /// Sets the largest window of this side's compressor.
    #[must_use]
    pub fn with_own_window_bits(self, own_window_bits: WindowBits) -> Self {
        Self { own_window_bits, ..self }
    }

    /// Sets the largest window of the peer's compressor.
    #[must_use]
    pub fn with_peer_window_bits(self, peer_window_bits: WindowBits) -> Self {
        Self { peer_window_bits, ..self }
    }

    /// Sets the length from which messages are compressed, in bytes.
    #[must_use]
    pub fn with_min_bytes(self, min_bytes: usize) -> Self {
        Self { min_bytes, ..self }
    }

    /// Sets zlib's level, 1 (fast) to 9 (small). Other values are replaced by the nearer of these.
    #[must_use]
    pub fn with_level(self, level: u32) -> Self {
        Self { level: level.clamp(1, 9), ..self }
    }
}

impl Default for DeflateSettings {
    fn default() -> Self {
        Self {
            own_takeover: ContextTakeover::Forbidden,
            peer_takeover: ContextTakeover::Forbidden,
            own_window_bits: WindowBits::MAX,
            peer_window_bits: WindowBits::MAX,
            min_bytes: 256,
            level: 3,
        }
    }
}
