//! Our crate, with all its checks.

use ocpp_types::{
    decode, encode,
    v201::{
        DeleteCertificateRequest, GetInstalledCertificateIdsResponse, SignCertificateRequest,
        TransactionEventRequest,
    },
};

fn main() {
    harness::measure_all!(|text| decode(text).expect("a payload"), |value| encode(value).expect("JSON"));
}
