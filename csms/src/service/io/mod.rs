//! The service's clock, sockets, files and signals.

pub(crate) mod clock;
pub(crate) mod control;
pub(crate) mod metrics;
pub(crate) mod operator_api;
pub(crate) mod reload;
pub(crate) mod revoke;
pub(crate) mod server;
pub(crate) mod server_error;
pub(crate) mod station_commands;
pub(crate) mod tls;
