//! The threads that sign.

pub(crate) mod health;
pub(crate) mod job;
pub(crate) mod keep_alive;
pub(crate) mod pool;
pub(crate) mod queue;
pub(crate) mod worker;
