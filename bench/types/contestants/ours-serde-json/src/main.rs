//! Our types, read and written by serde_json as everyone else's, for whoever has them within types
//! of his own.

use ocpp_types::v201::{
    DeleteCertificateRequest, GetInstalledCertificateIdsResponse, SignCertificateRequest,
    TransactionEventRequest,
};

fn main() {
    harness::measure_all!(|text| serde_json::from_str(text).expect("a payload"), |value| {
        serde_json::to_string(value).expect("JSON")
    },);
}
