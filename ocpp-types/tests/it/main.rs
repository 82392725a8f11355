//! What the crate accepts, refuses and reports, for all messages of all versions.

mod check_payloads;
mod decode_error;
mod deviations;
mod differential;
mod dispatch;
mod exactness;
mod features;
mod generated_values;
mod hostile;
mod json_schema;
mod messages;
mod payloads;
mod second_judge;
