//! The task that owns an open connection, and the socket below it.

pub(crate) mod driver;
mod ending;
mod inflate;
pub(crate) mod read_ahead;
pub(crate) mod record;
pub(crate) mod settings;
pub(crate) mod socket;
pub(crate) mod stream;
