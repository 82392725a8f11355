//! A charging station's certificate agent: its keys in a PKCS #11 token, its certificates over OCPP
//! 1.6, 2.0.1 or 2.1.
//!
//! The crate combines the other crates as a firmware would: [`signer_pkcs11`] generates keys and
//! signs with them, [`station_store`] keeps the inventory, [`ocpp_transport`] connects to the CSMS.
//! It has none of the other functions of a charging station. A firmware uses it as an example, or
//! runs it beside its own OCPP stack, which handles the other messages.
//!
//! ```no_run
//! use station::{Agent, Config};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::parse(&std::fs::read_to_string("station.toml")?)?;
//! let agent = Agent::open(config, None)?;
//! let runtime = tokio::runtime::Runtime::new()?;
//! runtime.block_on(agent.run(program::shutdown_signal()));
//! # Ok(())
//! # }
//! ```
//!
//! # Versions of OCPP
//! [`Versions`] lists the versions that the station offers. Each connection uses the one that the
//! CSMS chose. 1.6 includes the messages and configuration keys of the security whitepaper (edition
//! 3). The component `NetworkConfiguration` of 2.1 is left out; SetNetworkProfile sets the
//! profiles. A value that was set in one version also applies in the others: see [`device_model`].
//!
//! # How a certificate is renewed
//! The name of the new key is stored and TriggerMessage is answered. Then the key is generated in
//! the token and the request is sent (A02.FR.02, .03). The request is sent again until a
//! certificate arrives or the number of repetitions is reached (A02.FR.17 to .19), across
//! connections and restarts. Without a trigger, a renewal begins before the certificate expires
//! (A03.FR.02): see [`renewal`]. CertificateSigned is answered after the certificate is durable.
//! After the answer for the connection's certificate has been sent, the station reconnects with it
//! (A02.FR.08). The former certificate is kept until the station has connected with one of the two
//! (A02.FR.10, .28). A certificate for vehicles takes effect at once, and its status is requested
//! (M06.FR.07). Keys that nothing needs are destroyed later, when the token has time.

mod config;
pub mod control;
pub mod device_model;
mod following;
pub mod inventory;
pub mod io;
mod reconnect;
pub mod renewal;
mod security_events;

pub use crate::{
    config::{
        CertificatesSection, Config, ConfigError, CsmsSection, Iso15118Section, KeyAlgorithms,
        KeyAlgorithmsError, LastCsmsRoot, PasswordFormat, SeccIds, StationSection, Versions, VersionsError,
    },
    reconnect::{CsmsRoot, RootChoice, RootFailure, presented},
    security_events::{Noted, QueuedEvent, SecurityEvent, SecurityEventQueue, Severity},
};
pub use io::{Agent, AgentError, AgentHandle, BootReason, Ended, RenewError};
