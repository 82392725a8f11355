//! The handlers, as a file for each version calls them.

use std::sync::Arc;

use crate::io::{
    certificates::handlers::CertificateHandlers, device_model::handlers::ModelHandlers,
    handlers::station::StationHandlers,
};

/// What the station does when the CSMS calls, by what the message is about.
#[derive(Clone, Debug)]
pub(crate) struct Handlers {
    pub(crate) station: Arc<StationHandlers>,
    pub(crate) certificates: Arc<CertificateHandlers>,
    pub(crate) model: Arc<ModelHandlers>,
}
