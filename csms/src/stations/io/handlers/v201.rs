//! Handles the requests of OCPP 2.0.1.

super::v2::handlers_of_v2!(v201);

pub(super) fn handlers(router: Router, registry: &Arc<StationRegistry>) -> Router {
    handlers_of_both(router, registry)
}

/// The length of `ocspResult`, in characters.
const LONGEST_RESULT: usize = 5_500;
