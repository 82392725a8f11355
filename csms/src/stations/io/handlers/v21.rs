//! Handles the requests of OCPP 2.1.

use certificates::{UnixSeconds, ocsp::CertificateStatus};
use ocpp_types::{
    Timestamp,
    v21::{
        CertificateStatusEnumType, CertificateStatusRequestInfoType, CertificateStatusSourceEnumType,
        CertificateStatusType, GetCertificateChainStatusRequest, GetCertificateChainStatusResponse,
    },
};
use tokio::task::JoinSet;

use crate::signing::io::ocsp::Source;

super::v2::handlers_of_v2!(v21);

pub(super) fn handlers(router: Router, registry: &Arc<StationRegistry>) -> Router {
    let chain = Arc::clone(registry);
    handlers_of_both(router, registry).handle(move |peer: Peer, request: GetCertificateChainStatusRequest| {
        let registry = Arc::clone(&chain);
        async move { chain_status(registry, peer, request).await }
    })
}

/// M07.FR.08: each certificate with what is known of it, in the order of the request.
async fn chain_status(
    registry: Arc<StationRegistry>,
    peer: Peer,
    request: GetCertificateChainStatusRequest,
) -> Result<GetCertificateChainStatusResponse, CallError> {
    let mut inquiries = JoinSet::new();
    for (index, asked) in request.certificate_status_requests.iter().cloned().enumerate() {
        let (registry, peer) = (Arc::clone(&registry), peer.clone());
        inquiries.spawn(async move { (index, one_status(&registry, &peer, asked).await) });
    }
    let mut found = inquiries.join_all().await;
    found.sort_by_key(|(index, _)| *index);
    let found = found.into_iter().map(|(_, status)| status).collect::<Vec<_>>();
    let found = found.try_into().map_err(|_| CallError::internal("not every certificate has a status"))?;
    Ok(GetCertificateChainStatusResponse::new(found))
}

async fn one_status(
    registry: &StationRegistry,
    peer: &Peer,
    asked: CertificateStatusRequestInfoType,
) -> CertificateStatusType {
    let data = &asked.certificate_hash_data;
    let hash = HashData::parse(
        algorithm(data.hash_algorithm),
        &data.issuer_name_hash,
        &data.issuer_key_hash,
        &data.serial_number,
    );
    let source = match asked.source {
        CertificateStatusSourceEnumType::OCSP => Source::Ocsp,
        CertificateStatusSourceEnumType::CRL => Source::Crl,
    };
    let urls = asked.urls.iter().map(BoundedString::as_str);
    let verdict = registry.verdict(peer, hash, source, urls).await;
    // M07.FR.02, M07.FR.05: there is no result. The station may ask again at once.
    let failed = (CertificateStatusEnumType::Failed, now());
    let (status, next_update) = verdict.map_or(failed, |verdict| {
        let status = match verdict.status {
            CertificateStatus::Good => CertificateStatusEnumType::Good,
            CertificateStatus::Revoked => CertificateStatusEnumType::Revoked,
            CertificateStatus::Unknown => CertificateStatusEnumType::Unknown,
        };
        // Without a next update, newer information is available at any time (RFC 6960, 4.2.2.1).
        (status, verdict.next_update.map(UnixSeconds::to_system_time).map_or_else(now, Timestamp::from))
    });
    CertificateStatusType::new(asked.certificate_hash_data, asked.source, status, next_update)
}

/// The length of `ocspResult`, in characters.
const LONGEST_RESULT: usize = 18_000;
