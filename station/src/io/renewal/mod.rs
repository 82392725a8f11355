//! The renewal of the station's certificates with clock, disk, token and connection (A02, A03).

pub(crate) mod driver;
pub(crate) mod requests;
pub(crate) mod state;
pub(crate) mod subjects;

pub use self::requests::RenewError;
