//! What stations ask: a file for each version of OCPP translates it into terms of no version.

mod v16;
mod v2;
mod v201;
mod v21;

use std::sync::Arc;

use ocpp_transport::Router;
use ocpp_types::Version;

use crate::{config::OcppVersion, ledger::Ledger, stations::io::registry::StationRegistry};

/// The router of the CSMS's handlers, for these versions, of which there is at least one.
pub(crate) fn router<L: Ledger>(registry: &Arc<StationRegistry<L>>, versions: &[OcppVersion]) -> Router {
    let mut served = versions.iter().copied().map(Version::from);
    let router = Router::new(served.next().unwrap_or(Version::V201));
    let router = served.fold(router, Router::and);
    versions.iter().fold(router, |router, version| match version {
        OcppVersion::V16 => v16::handlers(router, registry),
        OcppVersion::V201 => v201::handlers(router, registry),
        OcppVersion::V21 => v21::handlers(router, registry),
    })
}
