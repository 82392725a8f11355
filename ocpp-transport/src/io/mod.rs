//! Sockets, clocks and tasks.

mod blocking;
mod connect;
mod csms;
mod driver;
mod head;
mod inflate;
mod record;
mod registry;
mod settings;
mod socket;
mod stream;

pub use crate::io::connect::{ConnectError, Connection, Security, StationConfig, connect};
pub use crate::io::csms::{BindError, Csms, CsmsConfig};
pub use crate::io::record::record_frames;
pub use crate::io::settings::LinkSettings;
