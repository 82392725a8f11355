//! How connections end.

use std::fmt;

/// How this side closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Close {
    /// The connection has served its purpose (1000).
    Normal,
    /// This side is going away, as a server that is shut down does (1001).
    GoingAway,
    /// The peer broke a rule of this side (1008).
    PolicyViolation,
    /// A newer connection of the same station replaces it (1001). It waits for nothing.
    Replaced,
}

impl Close {
    /// The status code of RFC 6455, section 7.4.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::GoingAway | Self::Replaced => 1001,
            Self::PolicyViolation => 1008,
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::GoingAway => "going away",
            Self::PolicyViolation => "policy violation",
            Self::Replaced => "replaced by a newer connection",
        }
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side closed it.
    Local(Close),
    /// The peer closed it.
    Peer {
        /// The status code of RFC 6455, if it gave one.
        code: Option<u16>,
        /// Its text, which may be empty.
        reason: String,
    },
    /// The network or the peer's process failed.
    Lost {
        /// The error of the socket.
        error: String,
    },
    /// The peer does not answer pings: the connection is half open.
    PingTimeout,
    /// The peer does not read what is sent.
    WriteTimeout,
    /// The peer broke the rules of WebSocket or sent a frame over the limit. The connection was
    /// closed with this code.
    Misbehaved {
        /// The status code with which it was closed: 1002, 1003, 1007 or 1009.
        code: u16,
        /// What the peer did.
        error: String,
    },
    /// The connection was dropped without being closed.
    Dropped,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(close) => write!(formatter, "closed by this side ({close:?})"),
            Self::Peer { code: Some(code), reason } if reason.is_empty() => {
                write!(formatter, "closed by the peer ({code})")
            }
            Self::Peer { code: Some(code), reason } => {
                // The peer's text stays on its line of a log.
                write!(formatter, "closed by the peer ({code}: {})", reason.escape_debug())
            }
            Self::Peer { code: None, .. } => formatter.write_str("closed by the peer"),
            Self::Lost { error } => write!(formatter, "lost: {error}"),
            Self::PingTimeout => formatter.write_str("the peer does not answer pings"),
            Self::WriteTimeout => formatter.write_str("the peer does not read what is sent"),
            Self::Misbehaved { code, error } => write!(formatter, "the peer misbehaved ({code}: {error})"),
            Self::Dropped => formatter.write_str("dropped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_peer_cannot_begin_a_line_of_their_own() {
        let reason = CloseReason::Peer { code: Some(1000), reason: "bye\nINFO admitted".to_owned() };
        assert_eq!(reason.to_string(), r"closed by the peer (1000: bye\nINFO admitted)");
    }
}
