//! Admits stations, answers their messages and sends them their certificates.

pub(crate) mod admission;
pub(crate) mod by_hand;
pub(crate) mod enrolment;
pub(crate) mod forward;
pub(crate) mod handlers;
pub(crate) mod login;
pub(crate) mod password_change;
