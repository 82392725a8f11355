//! The configuration of a CSMS.

use std::net::SocketAddr;
use std::time::Duration;

use crate::connection::io::settings::LinkSettings;
use crate::connection::message_rate::MessageRate;
use crate::tls::ServerTls;
use crate::upgrade::NoCommonSubprotocol;

/// The address that a CSMS listens on, and its limits.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CsmsConfig {
    /// The address to listen on. Port 0 selects a free one, see
    /// [`Csms::local_addr`](crate::Csms::local_addr).
    pub listen: SocketAddr,
    /// `None` is security profile 1: no TLS.
    pub tls: Option<ServerTls>,
    /// The path of the endpoint; stations append `/` and their identity. Default `/`.
    pub base_path: String,
    /// The answer to a station that speaks none of the router's versions. Default: an HTTP refusal.
    pub no_common_subprotocol: NoCommonSubprotocol,
    /// How long a connection may be silent before its first byte. Default 5 s. Until then it takes
    /// only a socket.
    pub first_byte_timeout: Duration,
    /// Deadline of TLS, HTTP and admission together. Default 15 s.
    pub handshake_timeout: Duration,
    /// Connections that are not admitted yet, including silent ones. Default 8,192. Above that, a
    /// new one replaces the oldest one without a turn, in the network that has the most of them.
    pub max_pending: usize,
    /// Handshakes (TLS and HTTP) at once. Default 512, at about 20 KiB each. Above that,
    /// connections wait for their turn. The next turn goes to the network with the fewest turns,
    /// and there to its newest connection.
    pub max_handshakes: usize,
    /// Handshakes of one address at once (an IPv6 /64 network counts as one address). Default
    /// `None`: three quarters of all, so that one address cannot lock out the others, and a site
    /// behind one address gets most of them.
    pub max_handshakes_per_address: Option<usize>,
    /// Admitted connections. Default 20,000. Above that, new ones wait in the operating system's
    /// queue. The process needs as many open files as this and `max_pending` together.
    pub max_connections: usize,
    /// The rate of messages from one station; `None` is unlimited. Default 50 a second after a
    /// burst of 500.
    pub message_rate: Option<MessageRate>,
    /// The time over which a shutdown spreads the closing of connections. Default 10 s. Up to a
    /// thousand connections take 10 ms each.
    pub drain: Duration,
    /// Deadlines and bounds of each connection.
    pub link: LinkSettings,
}

impl CsmsConfig {
    /// A server for profiles 2 and 3.
    #[must_use]
    pub fn new(listen: SocketAddr, tls: ServerTls) -> Self {
        Self { tls: Some(tls), ..Self::unsecured(listen) }
    }

    /// A server for profile 1, without TLS. For trusted networks only.
    #[must_use]
    pub fn unsecured(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            base_path: "/".to_owned(),
            no_common_subprotocol: NoCommonSubprotocol::default(),
            first_byte_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(15),
            max_pending: 8_192,
            max_handshakes: 512,
            max_handshakes_per_address: None,
            max_connections: 20_000,
            message_rate: Some(MessageRate::default()),
            drain: Duration::from_secs(10),
            link: LinkSettings::default(),
        }
    }

    /// Sets the path of the endpoint, such as `/ocpp`.
    #[must_use]
    pub fn with_base_path(self, base_path: impl Into<String>) -> Self {
        Self { base_path: base_path.into(), ..self }
    }

    /// Sets the answer to a station that speaks none of the router's versions.
    #[must_use]
    pub fn with_no_common_subprotocol(self, no_common_subprotocol: NoCommonSubprotocol) -> Self {
        Self { no_common_subprotocol, ..self }
    }

    /// Sets how long a connection may be silent before its first byte.
    #[must_use]
    pub fn with_first_byte_timeout(self, first_byte_timeout: Duration) -> Self {
        Self { first_byte_timeout, ..self }
    }

    /// Sets the deadline of TLS, HTTP and admission together.
    #[must_use]
    pub fn with_handshake_timeout(self, handshake_timeout: Duration) -> Self {
        Self { handshake_timeout, ..self }
    }

    /// Sets how many connections may wait for admission, including silent ones.
    #[must_use]
    pub fn with_max_pending(self, max_pending: usize) -> Self {
        Self { max_pending, ..self }
    }

    /// Sets the maximum number of handshakes at once.
    #[must_use]
    pub fn with_max_handshakes(self, max_handshakes: usize) -> Self {
        Self { max_handshakes, ..self }
    }

    /// Sets the maximum number of handshakes of one address at once.
    #[must_use]
    pub fn with_max_handshakes_per_address(self, handshakes: usize) -> Self {
        Self { max_handshakes_per_address: Some(handshakes), ..self }
    }

    /// Sets the maximum number of connections.
    #[must_use]
    pub fn with_max_connections(self, max_connections: usize) -> Self {
        Self { max_connections, ..self }
    }

    /// Sets the rate at which a station may send messages.
    #[must_use]
    pub fn with_message_rate(self, message_rate: MessageRate) -> Self {
        Self { message_rate: Some(message_rate), ..self }
    }

    /// Reads messages as fast as stations send them.
    #[must_use]
    pub fn with_unlimited_message_rate(self) -> Self {
        Self { message_rate: None, ..self }
    }

    /// Sets the time over which a shutdown spreads the closing of connections.
    #[must_use]
    pub fn with_drain(self, drain: Duration) -> Self {
        Self { drain, ..self }
    }

    /// Sets deadlines and bounds of each connection.
    #[must_use]
    pub fn with_link(self, link: LinkSettings) -> Self {
        Self { link, ..self }
    }
}
