//! The connection to the CSMS: how it is made, its state, and the station's work while it is up.

pub(crate) mod clock;
pub(crate) mod confirmation;
pub(crate) mod connecting;
pub(crate) mod link;
pub(crate) mod online;
pub(crate) mod security;
pub(crate) mod signals;
pub(crate) mod state;
