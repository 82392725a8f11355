//! The smallest possible types of a program: strings and numbers of any length and range, and no
//! other members.

use crate::messages::{
    DeleteCertificateRequest, GetInstalledCertificateIdsResponse, SignCertificateRequest,
    TransactionEventRequest,
};

mod messages;

fn main() {
    harness::measure_all!(|text| serde_json::from_str(text).expect("a payload"), |value| {
        serde_json::to_string(value).expect("JSON")
    },);
}
