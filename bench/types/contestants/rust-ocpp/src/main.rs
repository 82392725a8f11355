//! The crate `rust-ocpp`.

use rust_ocpp::v2_0_1::messages::{
    delete_certificate::DeleteCertificateRequest,
    get_installed_certificate_ids::GetInstalledCertificateIdsResponse,
    sign_certificate::SignCertificateRequest, transaction_event::TransactionEventRequest,
};

fn main() {
    harness::measure_all!(|text| serde_json::from_str(text).expect("a payload"), |value| {
        serde_json::to_string(value).expect("JSON")
    },);
}
