//! How a connection ends.

use std::time::Duration;

use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};

use crate::connection::close::{Close, CloseReason};
use crate::connection::io::inflate::deflate_error;

/// How the socket is closed.
pub(crate) enum Ending {
    /// This side sends a Close frame.
    Close { code: u16, text: &'static str, patience: Duration },
    /// The peer has sent Close.
    Finish,
    /// Nothing is sent.
    Cut,
}

/// Why a connection ends, and how its socket is closed.
pub(crate) type End = (CloseReason, Ending);

/// This side closes.
pub(crate) fn closed_here(close: Close, patience: Duration) -> End {
    let patience = match close {
        // The peer already uses another connection and must not wait for this one.
        Close::Replaced => REPLACED_PATIENCE.min(patience),
        _ => patience,
    };
    (CloseReason::Local(close), Ending::Close { code: close.code(), text: close.text(), patience })
}

/// Distinguishes failures of the network and of the peer at the end of a socket.
pub(crate) fn end_of_socket(error: Option<tungstenite::Error>) -> End {
    let Some(error) = error else {
        return (CloseReason::Peer { code: None, reason: String::new() }, Ending::Finish);
    };
    match error {
        tungstenite::Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            misbehaved(1009, format!("a frame of {size} bytes, at most {max_size} are accepted"))
        }
        tungstenite::Error::Utf8(_) => misbehaved(1007, "text that is not UTF-8".to_owned()),
        tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => gone(),
        // Neither Close nor TLS's close_notify: the process was killed.
        tungstenite::Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => gone(),
        tungstenite::Error::Protocol(error) => misbehaved(1002, error.to_string()),
        tungstenite::Error::Io(error) if let Some(error) = deflate_error(&error) => {
            misbehaved(error.close_code(), error.to_string())
        }
        error => (CloseReason::Lost { error: error.to_string() }, Ending::Cut),
    }
}

fn gone() -> End {
    (
        CloseReason::Lost { error: "the peer ended the connection without a Close frame".to_owned() },
        Ending::Cut,
    )
}

/// The peer broke a rule. The Close frame contains the code.
pub(crate) fn misbehaved(code: u16, error: String) -> End {
    let ending = Ending::Close { code, text: "", patience: MISBEHAVED_PATIENCE };
    (CloseReason::Misbehaved { code, error }, ending)
}

/// How long a connection that is replaced waits for the Close frame to be sent. A half-open one
/// cannot send it.
const REPLACED_PATIENCE: Duration = Duration::from_millis(500);

/// How long a peer that broke the rules has to read the Close frame.
const MISBEHAVED_PATIENCE: Duration = Duration::from_secs(2);
