//! An observer of every text frame, for recordings.

use std::fmt;
use std::sync::Arc;

use certificates::StationIdentity;

/// Called with every text frame of a connection: a received one before it is parsed, a sent one
/// before it is written.
///
/// It runs on the connection's task: pass the text on and return. Frames contain payloads, never
/// passwords of the transport. A secret that OCPP itself transports (SetVariables of
/// BasicAuthPassword) is in the frame.
pub type FrameTap = Arc<dyn Fn(&TappedFrame<'_>) + Send + Sync>;

/// A text frame, received or sent.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct TappedFrame<'a> {
    /// Whether the frame was received or is sent.
    pub direction: Direction,
    /// The station of the connection.
    pub identity: &'a StationIdentity,
    /// The frame as it is on the wire.
    pub text: &'a str,
}

/// The direction of a frame, seen from this side.
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
