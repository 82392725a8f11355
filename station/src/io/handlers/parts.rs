//! The handlers, as the files of the versions call them.

use std::sync::Arc;

use crate::io::{
    certificates::handlers::CertificateHandlers, device_model::handlers::ModelHandlers,
    handlers::station::StationHandlers,
};

/// The handlers of the CSMS's calls, grouped by the subject of the message.
#[derive(Clone, Debug)]
pub(crate) struct Handlers {
    pub(crate) station: Arc<StationHandlers>,
    pub(crate) certificates: Arc<CertificateHandlers>,
    pub(crate) model: Arc<ModelHandlers>,
}
