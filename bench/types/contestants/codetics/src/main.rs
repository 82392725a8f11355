//! The crate `codetics-ocpp201`, without its separate step of validation.

use codetics_ocpp201::{
    DeleteCertificateRequest, GetInstalledCertificateIdsResponse, SignCertificateRequest,
    TransactionEventRequest,
};

fn main() {
    harness::measure_all!(|text| serde_json::from_str(text).expect("a payload"), |value| {
        serde_json::to_string(value).expect("JSON")
    },);
}
