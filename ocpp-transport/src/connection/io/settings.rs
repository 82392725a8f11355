//! The settings of both sides of a connection.

use std::fmt;
use std::time::Duration;

use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::connection::tap::FrameTap;
use crate::deflate::Deflate;
use crate::session::SessionSettings;

/// Deadlines and bounds of an open connection, on either side.
#[derive(Clone)]
#[non_exhaustive]
pub struct LinkSettings {
    /// Timeouts and bounds of OCPP-J.
    pub session: SessionSettings,
    /// The interval of WebSocket pings (`WebSocketPingInterval`). Default 60 s; `Duration::ZERO`
    /// disables them.
    pub ping_interval: Duration,
    /// How long after a ping data must arrive; otherwise the connection counts as half open.
    /// Default 20 s.
    pub ping_timeout: Duration,
    /// How long sent data may wait in the socket's buffers for the peer to read. Default 20 s.
    pub write_timeout: Duration,
    /// How long a close waits for pending answers, and then for the peer's own Close. Default 5 s
    /// each.
    pub close_timeout: Duration,
    /// Compression of messages; see [`deflate`](crate::deflate). Default: a CSMS grants it (2.0.1
    /// Part 4, 5.6) and a station offers it, both without context takeover. `None`: it is neither
    /// granted nor offered. Connections that use clones of these settings share its memory.
    pub deflate: Option<Deflate>,
    /// The observer of frames, if any.
    pub tap: Option<FrameTap>,
}

impl LinkSettings {
    /// Sets timeouts and bounds of OCPP-J.
    #[must_use]
    pub fn with_session(self, session: SessionSettings) -> Self {
        Self { session, ..self }
    }

    /// Sets the interval of WebSocket pings; `Duration::ZERO` disables them.
    #[must_use]
    pub fn with_ping_interval(self, ping_interval: Duration) -> Self {
        Self { ping_interval, ..self }
    }

    /// Sets how long after a ping data must arrive.
    #[must_use]
    pub fn with_ping_timeout(self, ping_timeout: Duration) -> Self {
        Self { ping_timeout, ..self }
    }

    /// Sets how long the peer may leave sent data unread.
    #[must_use]
    pub fn with_write_timeout(self, write_timeout: Duration) -> Self {
        Self { write_timeout, ..self }
    }

    /// Sets how long a close waits for pending answers, and for the peer.
    #[must_use]
    pub fn with_close_timeout(self, close_timeout: Duration) -> Self {
        Self { close_timeout, ..self }
    }

    /// Sets whether and how messages may be compressed.
    #[must_use]
    pub fn with_deflate(self, deflate: Option<Deflate>) -> Self {
        Self { deflate, ..self }
    }

    /// Sets the observer of frames.
    #[must_use]
    pub fn with_tap(self, tap: FrameTap) -> Self {
        Self { tap: Some(tap), ..self }
    }

    pub(crate) fn web_socket(&self) -> WebSocketConfig {
        let max_bytes = self.session.limits.max_bytes;
        WebSocketConfig::default()
            // Frames are divided to fit, so this is the only read buffer of a connection.
            .read_buffer_size(2 * 1024)
            // Each frame is flushed, so a larger buffer has no use.
            .write_buffer_size(0)
            // The buffer holds one frame and a few pings, because the driver writes only when there
            // is room.
            .max_write_buffer_size(2 * max_bytes + 64 * 1024)
            .max_message_size(Some(max_bytes))
            .max_frame_size(Some(max_bytes))
    }
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self {
            session: SessionSettings::default(),
            ping_interval: Duration::from_secs(60),
            ping_timeout: Duration::from_secs(20),
            write_timeout: Duration::from_secs(20),
            close_timeout: Duration::from_secs(5),
            deflate: Some(Deflate::default()),
            tap: None,
        }
    }
}

impl fmt::Debug for LinkSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LinkSettings")
            .field("session", &self.session)
            .field("ping_interval", &self.ping_interval)
            .field("ping_timeout", &self.ping_timeout)
            .field("write_timeout", &self.write_timeout)
            .field("close_timeout", &self.close_timeout)
            .field("deflate", &self.deflate)
            .field("tap", &self.tap.is_some())
            .finish()
    }
}
