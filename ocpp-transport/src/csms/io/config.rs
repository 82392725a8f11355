//! What a CSMS can set.

use std::net::SocketAddr;
use std::time::Duration;

use crate::connection::io::settings::LinkSettings;
use crate::connection::message_rate::MessageRate;
use crate::tls::ServerTls;
use crate::upgrade::NoCommonSubprotocol;

/// Where a CSMS listens, and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CsmsConfig {
    /// The address to listen on; port 0 takes a free one, see
    /// [`Csms::local_addr`](crate::Csms::local_addr).
    pub listen: SocketAddr,
    /// None is security profile 1: no TLS.
    pub tls: Option<ServerTls>,
    /// The path of the endpoint; stations append `/` and their identity. Default `/`.
    pub base_path: String,
    /// What a station is told that speaks none of the router's versions. Default: an HTTP refusal.
    pub no_common_subprotocol: NoCommonSubprotocol,
    /// How long a connection may be silent before its first byte. Default 5 s; until then it costs
    /// a socket only.
    pub first_byte_timeout: Duration,
    /// Deadline of TLS, HTTP and admission together. Default 15 s.
    pub handshake_timeout: Duration,
    /// Connections that are not admitted yet, silent ones included. Default 8,192; beyond it, a new
    /// one takes the place of the oldest that has no turn, in the network that has most of them.
    pub max_pending: usize,
    /// Handshakes at once: TLS and HTTP. Default 512, at some 20 KiB each; beyond it, connections
    /// wait for their turn. The network that has the fewest turns is next, with its newest
    /// connection.
    pub max_handshakes: usize,
    /// Of these, those of one address (an IPv6 /64 network counts as one). Default `None`: three
    /// quarters, so that one address shuts no other out, and a site behind one has most of them.
    pub max_handshakes_per_address: Option<usize>,
    /// Admitted connections. Default 20,000. Above that, new ones wait in the operating system's
    /// queue. The open files that it takes are this and `max_pending`.
    pub max_connections: usize,
    /// Messages of one station; none is no bound. Default 50 a second after a burst of 500.
    pub message_rate: Option<MessageRate>,
    /// Over which time a shutdown spreads the closing of connections. Default 10 s; up to a
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

    /// Sets what a station is told that speaks none of the router's versions.
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

    /// Sets how many connections may be waiting for admission, silent ones included.
    #[must_use]
    pub fn with_max_pending(self, max_pending: usize) -> Self {
        Self { max_pending, ..self }
    }

    /// Sets how many handshakes there may be at once.
    #[must_use]
    pub fn with_max_handshakes(self, max_handshakes: usize) -> Self {
        Self { max_handshakes, ..self }
    }

    /// Sets how many handshakes of one address there may be at once.
    #[must_use]
    pub fn with_max_handshakes_per_address(self, handshakes: usize) -> Self {
        Self { max_handshakes_per_address: Some(handshakes), ..self }
    }

    /// Sets how many connections there may be.
    #[must_use]
    pub fn with_max_connections(self, max_connections: usize) -> Self {
        Self { max_connections, ..self }
    }

    /// Sets how many messages a station may send.
    #[must_use]
    pub fn with_message_rate(self, message_rate: MessageRate) -> Self {
        Self { message_rate: Some(message_rate), ..self }
    }

    /// Reads what stations send as fast as they do.
    #[must_use]
    pub fn with_unlimited_message_rate(self) -> Self {
        Self { message_rate: None, ..self }
    }

    /// Sets over which time a shutdown spreads the closing of connections.
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
