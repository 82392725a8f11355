//! The crate with our name in the public registry.

use published::v201::{
    DeleteCertificateRequest, GetInstalledCertificateIdsResponse, SignCertificateRequest,
    TransactionEventRequest,
};

fn main() {
    harness::measure_all!(|text| serde_json::from_str(text).expect("a payload"), |value| {
        serde_json::to_string(value).expect("JSON")
    },);
}
