//! A charging station's certificate agent: its keys in a PKCS #11 token, its certificates over OCPP
//! 1.6, 2.0.1 or 2.1.
//!
//! It puts the crates together as a firmware would: [`signer_pkcs11`] makes keys and signs with
//! them, [`station_store`] keeps the inventory, [`ocpp_transport`] talks to the CSMS. It does
//! nothing else that a charging station does: a firmware takes it as an example, or runs it beside
//! its own OCPP stack's other messages.
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
//! [`Versions`] says which the station offers; each connection speaks the one that the CSMS chose.
//! 1.6 is meant with the messages and configuration keys of the security whitepaper, edition 3. Of
//! 2.1, the component `NetworkConfiguration` is left out: profiles come by SetNetworkProfile. What
//! was set in one version holds in the others: see [`device_model`].
//!
//! # How a certificate is renewed
//! The name of the new key is stored, TriggerMessage is answered, then the key is generated in the
//! token and the request is sent (A02.FR.02, .03). It is sent again until a certificate comes or
//! the number of repetitions is reached (A02.FR.17 to .19), across connections and restarts.
//! Without a trigger it begins before a certificate expires (A03.FR.02): see [`renewal`].
//! CertificateSigned is answered after the certificate is durable. After the answer for the
//! connection's certificate has left, the station connects again with it (A02.FR.08), and the
//! former certificate is kept until one of the two has connected (A02.FR.10, .28). A certificate
//! for vehicles takes effect at once, and its status is asked for (M06.FR.07). Keys that nothing
//! needs are destroyed later, when the token has time.

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
