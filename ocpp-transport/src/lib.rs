//! OCPP-J over WebSocket and TLS, for charging stations and central systems.
//!
//! A station calls [`connect`]. A CSMS binds a [`Csms`], and its [`Admission`] decides which
//! stations may connect. An open connection is symmetric: a [`Router`] of typed handlers answers
//! the peer's calls, and [`Peer::call`] makes calls. Payloads are checked against the schemas of
//! `ocpp-types` in both directions. Security profiles 1 to 3 are in [`tls`], [`basic`] and
//! [`name_rule`]. A key may be in an HSM, because the crate requires only rustls' `SigningKey`.
//!
//! A [`Supervisor`] keeps a station connected, with its network profiles and back-off. The crate
//! stores nothing. The application decides which stations may connect.
//!
//! ```
//! use std::time::SystemTime;
//!
//! use ocpp_transport::{
//!     Admission, Admitted, Close, Csms, CsmsConfig, Password, Peer, Refusal, Router, Security,
//!     StationConfig, StationIdentity, UpgradeRequest, connect,
//! };
//! use ocpp_types::{Version, v201};
//!
//! struct OnePassword;
//!
//! impl Admission for OnePassword {
//!     async fn admit(&self, upgrade: &UpgradeRequest) -> Result<Admitted, Refusal> {
//!         match &upgrade.basic {
//!             Some(basic) if basic.password.matches(&"0123456789abcdef".into()) => {
//!                 Ok(Admitted::new())
//!             }
//!             _ => Err(Refusal::BadCredentials),
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = Router::new(Version::V201).handle(async |_: Peer, _: v201::HeartbeatRequest| {
//!     Ok(v201::HeartbeatResponse::new(SystemTime::now().into()))
//! });
//! let csms = Csms::bind(CsmsConfig::unsecured("127.0.0.1:0".parse()?), clock, OnePassword).await?;
//! let url = format!("ws://{}", csms.local_addr()).parse()?;
//! let server = tokio::spawn(csms.serve(std::future::pending()));
//!
//! let password = Security::profile_1(Password::from("0123456789abcdef"));
//! let config = StationConfig::new(url, StationIdentity::try_from("CS001")?, password);
//! let connection = connect(&config, Router::new(Version::V201)).await?;
//! let response = connection.peer().call(v201::HeartbeatRequest::new()).await?;
//! println!("the time of the CSMS is {}", response.current_time);
//! connection.close(Close::Normal).await;
//! # server.abort();
//! # Ok(())
//! # }
//! ```
//!
//! The metrics for operators are in [`metrics`]. The crate logs through `tracing`: payloads at
//! TRACE only, and secrets never. The WebSocket library logs whole frames at TRACE through the
//! crate `log`: build programs with the feature `max_level_debug` of `log`.
//!
//! # Features
//!
//! * `v16`, `v201` (default), `v21`: the messages of each version, for [`Router`] and
//!   [`Peer::call`].
//! * `openssl`: a second TLS library for a [`Csms`], the system's OpenSSL (`libssl-dev` and
//!   `pkg-config` to build), with all four cipher suites that OCPP requires of a CSMS:
//!   [`tls::ServerTls`].
//!
//! The core ([`frame`], [`session`], the rules for names) uses no clock and no socket. Only the
//! private modules `io` use them.

pub mod deflate;
pub mod frame;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod message_id;
pub mod metrics;
pub mod name_rule;
pub mod session;
pub mod tls;

mod calls;
mod connection;
mod csms;
mod station;
mod upgrade;

pub use crate::calls::failure::{CallError, CallFailure};
pub use crate::calls::io::peer::{CallOptions, Peer};
pub use crate::calls::io::reply::Reply;
pub use crate::calls::io::router::Router;
pub use crate::connection::close::{Close, CloseReason};
pub use crate::connection::io::record::record_frames;
pub use crate::connection::io::settings::LinkSettings;
pub use crate::connection::message_rate::MessageRate;
pub use crate::connection::profile::SecurityProfile;
pub use crate::connection::tap::{Direction, FrameTap, TappedFrame};
pub use crate::csms::io::admission::{Admission, Admitted, Refusal, UpgradeRequest};
pub use crate::csms::io::config::CsmsConfig;
pub use crate::csms::io::server::{BindError, Csms, CsmsHandle, NotTls};
pub use crate::csms::network::Network;
pub use crate::message_id::MessageId;
pub use crate::session::{Registration, Retry, SessionSettings};
pub use crate::station::backoff::{BackOff, BackOffSettings};
pub use crate::station::connection_events::ConnectionEvent;
pub use crate::station::endpoint::{Endpoint, EndpointError};
pub use crate::station::io::config::{Security, StationConfig};
pub use crate::station::io::connect::{ConnectError, Connection, connect};
pub use crate::station::io::supervisor::{AttemptError, Next, Station, Supervisor};
pub use crate::station::reconnect::{
    Attempt, AttemptFailure, Credential, Exhausted, Reconnect, ReconnectSettings,
};
pub use crate::upgrade::NoCommonSubprotocol;
pub use crate::upgrade::basic::{Credentials, Password};
pub use crate::upgrade::{basic, path_segment};
/// The identity of a charging station, shared by all crates.
pub use certificates::{StationIdentity, StationIdentityError};
