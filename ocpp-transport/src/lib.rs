//! OCPP-J over WebSocket and TLS, for charging stations and central systems.

pub mod basic;
pub mod frame;
pub mod message_id;
pub mod name_rule;
pub mod session;
pub mod tls;

mod admission;
mod call;
mod close;
mod identity;
mod io;
mod peer;
mod profile;
mod reply;
mod router;
mod tap;
mod upgrade;

pub use crate::admission::{Admission, Admitted, Refusal, UpgradeRequest};
pub use crate::basic::{Credentials, Password};
pub use crate::call::{CallError, CallFailure};
pub use crate::close::{Close, CloseReason};
pub use crate::identity::{Identity, IdentityError};
pub use crate::io::{
    BindError, ConnectError, Connection, Csms, CsmsConfig, LinkSettings, Security, StationConfig, connect,
};
pub use crate::message_id::MessageId;
pub use crate::peer::Peer;
pub use crate::profile::SecurityProfile;
pub use crate::reply::Reply;
pub use crate::router::Router;
pub use crate::session::SessionSettings;
pub use crate::tap::{Direction, FrameTap, TappedFrame};
