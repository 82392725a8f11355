//! The handlers of the CSMS's calls.
//!
//! One file per version translates its messages to and from types that no version owns, and decides
//! nothing.

pub(crate) mod parts;
pub(crate) mod station;
mod v16;
mod v2;
mod v201;
mod v21;

use ocpp_transport::Router;
use ocpp_types::Version;

use crate::{config::Versions, io::handlers::parts::Handlers};

/// The handlers of every version that the station offers, the preferred version first.
pub(crate) fn router(handlers: &Handlers, versions: &Versions) -> Router {
    let router = versions.others().iter().copied().fold(Router::new(versions.preferred()), Router::and);
    let spoken = router.versions().to_vec();
    spoken.into_iter().fold(router, |router, version| match version {
        Version::V16 => v16::with_handlers(router, handlers),
        Version::V201 => v201::with_handlers(router, handlers),
        Version::V21 => v21::with_handlers(router, handlers),
        // The configuration names no other version.
        _ => router,
    })
}
