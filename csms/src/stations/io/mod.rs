//! Admits stations, answers their messages and sends them their certificates.

pub(crate) mod admission;
pub(crate) mod by_hand;
pub(crate) mod delivery;
pub(crate) mod enrolment;
pub(crate) mod forward;
pub(crate) mod handlers;
pub(crate) mod login;
pub(crate) mod lookup;
pub(crate) mod password_change;
pub(crate) mod registry;
pub(crate) mod requests;
pub(crate) mod stations;
mod turns;
