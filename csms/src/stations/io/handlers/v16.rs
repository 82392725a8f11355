//! Handles the requests of OCPP 1.6 with its security extension.

use std::sync::Arc;

use ocpp_transport::{CallError, Peer, Router};
use ocpp_types::v16::{
    BootNotificationRequest, BootNotificationResponse, HeartbeatRequest, HeartbeatResponse,
    RegistrationStatus, SecurityEventNotificationRequest, SecurityEventNotificationResponse,
    SignCertificateRequest,
};

use crate::stations::io::registry::{Boot, BootStatus, Product, StationRegistry, note_security_event, now};

pub(super) fn handlers(router: Router, registry: &Arc<StationRegistry>) -> Router {
    let [boot, sign] = [registry; 2].map(Arc::clone);
    router
        .handle(move |peer: Peer, request: BootNotificationRequest| {
            let registry = Arc::clone(&boot);
            async move {
                // The charge box is a part of the charge point. Its number is used only if the
                // charge point's number is missing.
                let point = request.charge_point_serial_number.as_deref();
                let reported = point.or(request.charge_box_serial_number.as_deref());
                let product = Product {
                    vendor: &request.charge_point_vendor,
                    model: &request.charge_point_model,
                    firmware: request.firmware_version.as_deref(),
                };
                Ok::<_, CallError>(registry.boot(peer, reported, product).await?.map(boot_response))
            }
        })
        .handle(|_, _: HeartbeatRequest| async { Ok::<_, CallError>(HeartbeatResponse::new(now())) })
        .handle(move |peer: Peer, request: SignCertificateRequest| {
            let registry = Arc::clone(&sign);
            async move { registry.sign(&peer, &request).await }
        })
        .handle(|peer: Peer, request: SecurityEventNotificationRequest| async move {
            note_security_event(&peer, &request.type_, request.tech_info.as_deref());
            Ok::<_, CallError>(SecurityEventNotificationResponse::new())
        })
}

fn boot_response(boot: Boot) -> BootNotificationResponse {
    let status = match boot.status {
        BootStatus::Accepted => RegistrationStatus::Accepted,
        BootStatus::Pending => RegistrationStatus::Pending,
        BootStatus::Rejected => RegistrationStatus::Rejected,
    };
    BootNotificationResponse::new(status, now(), boot.interval_s)
}
