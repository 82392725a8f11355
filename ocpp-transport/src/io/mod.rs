//! Sockets, clocks and tasks.

pub(crate) mod admission;
mod ahead;
mod blocking;
mod connect;
mod csms;
mod csms_config;
mod dial;
mod driver;
mod ending;
mod handlers;
mod head;
mod inflate;
mod open;
pub(crate) mod peer;
mod record;
mod registry;
pub(crate) mod reply;
pub(crate) mod router;
mod settings;
mod shared;
mod socket;
mod stream;
mod supervisor;
mod tls_accept;
mod turnstile;

pub use crate::io::connect::{ConnectError, Connection, Security, StationConfig, connect};
pub use crate::io::csms::{BindError, Csms, CsmsHandle, NotTls};
pub use crate::io::csms_config::CsmsConfig;
pub use crate::io::record::record_frames;
pub use crate::io::settings::LinkSettings;
pub use crate::io::supervisor::{AttemptError, Next, Station, Supervisor};
