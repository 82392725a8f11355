//! Our types, read and written by serde_json like the other contestants. This is the case of our
//! types within types of a user.

use ocpp_types::v201::{
    DeleteCertificateRequest, GetInstalledCertificateIdsResponse, SignCertificateRequest,
    TransactionEventRequest,
};

fn main() {
    harness::measure_all!(|text| serde_json::from_str(text).expect("a payload"), |value| {
        serde_json::to_string(value).expect("JSON")
    },);
}
