//! The station as a process, with a CSMS that is not ours.

mod bad_server;
mod control;
mod device_model;
mod enrolment;
mod events;
mod iso15118;
mod lessons;
mod python;
mod renew;
mod renewing;
mod reusable;
mod stage;
mod start;
mod tc_a_renewal;
mod tc_a_vehicles;
mod tc_b_network;
mod tc_m_additional_check;
mod tc_m_delete;
mod tc_m_install;
mod tc_m_inventory;
mod v16;
mod v21;
