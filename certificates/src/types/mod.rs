//! Types for values that would otherwise be strings and numbers. Each can hold valid values only.

mod fingerprint;
mod key_hash;
mod serial_number;
mod station_identity;
mod text;
mod unix_seconds;

pub use fingerprint::Fingerprint;
pub use key_hash::{KeyHash, KeyHashError};
pub use serial_number::{SerialNumber, SerialNumberError};
pub use station_identity::{StationIdentity, StationIdentityError};
pub use unix_seconds::UnixSeconds;
