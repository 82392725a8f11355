//! Handles the requests of stations. A file for each version of OCPP translates between its
//! messages and the registry.

mod v16;
mod v2;
mod v201;
mod v21;

use std::sync::Arc;

use ocpp_transport::{Peer, Router, frame::Incoming};
use ocpp_types::Version;
use serde::Deserialize;

use crate::{
    config::OcppVersion,
    stations::io::registry::{StationRegistry, note_security_event},
};

/// The router of the CSMS's handlers, for these versions, of which there is at least one.
pub(crate) fn router(registry: &Arc<StationRegistry>, versions: &[OcppVersion]) -> Router {
    let mut served = versions.iter().copied().map(Version::from);
    let router = Router::new(served.next().unwrap_or(Version::V201));
    let router = served.fold(router, Router::and).observe_invalid(keep_security_event);
    versions.iter().fold(router, |router, version| match version {
        OcppVersion::V16 => v16::handlers(router, registry),
        OcppVersion::V201 => v201::handlers(router, registry),
        OcppVersion::V21 => v21::handlers(router, registry),
    })
}

/// A04.FR.03: a security event is logged even if its notification breaks the schema, for example
/// with a timestamp without an offset. The station receives an error, and may not send the event
/// again.
fn keep_security_event(peer: &Peer, refused: &Incoming) {
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default, rename = "techInfo")]
        info: Option<String>,
    }

    if refused.action() == "SecurityEventNotification"
        && let Ok(Event { kind, info }) = serde_json::from_str(refused.payload())
    {
        // The lengths are those of the schema, which was not checked.
        let cut = |text: String, max: usize| text.chars().take(max).collect::<String>();
        note_security_event(peer, &cut(kind, 50), info.map(|info| cut(info, 255)).as_deref());
    }
}
