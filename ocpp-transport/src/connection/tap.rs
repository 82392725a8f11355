//! An observer of every text frame, for recordings.

use std::fmt;
use std::sync::Arc;

use certificates::StationIdentity;

/// Called with every text frame that a connection receives or sends, before it is interpreted or
/// written.
///
/// It runs on the connection's task: hand the text over and return. Frames carry payloads, never
/// passwords of the transport; where OCPP itself transports a secret (SetVariables of
/// BasicAuthPassword), it is in there.
pub type FrameTap = Arc<dyn Fn(&TappedFrame<'_>) + Send + Sync>;

/// A text frame that passes.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct TappedFrame<'a> {
    /// Whether the frame came in or goes out.
    pub direction: Direction,
    /// The station whose connection it is.
    pub identity: &'a StationIdentity,
    /// The frame as it is on the wire.
    pub text: &'a str,
}

/// The way of a frame, seen from this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the peer.
    In,
    /// To the peer.
    Out,
}

impl fmt::Display for Direction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::In => "in",
            Self::Out => "out",
        })
    }
}
