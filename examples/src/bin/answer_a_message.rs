//! Reads one frame of OCPP-J from standard input and prints the answer of a station that has no
//! certificates.

use std::error::Error;

use ocpp_types::{
    Version, encode,
    v201::{
        CsmsCall, DeleteCertificateResponse, DeleteCertificateStatusEnumType,
        GetInstalledCertificateIdsResponse, GetInstalledCertificateStatusEnumType,
    },
};
use program::causes;
use serde_json::{json, value::RawValue};

fn main() -> Result<(), Box<dyn Error>> {
    let frame = std::io::read_to_string(std::io::stdin())?;
    let (_, id, action, payload): (u8, &str, &str, &RawValue) = serde_json::from_str(&frame)?;
    let answer = match CsmsCall::decode(action, payload.get()) {
        Ok(CsmsCall::GetInstalledCertificateIds(_)) => {
            let status = GetInstalledCertificateStatusEnumType::NotFound;
            format!("[3,{id:?},{}]", encode(&GetInstalledCertificateIdsResponse::new(status))?)
        }
        Ok(CsmsCall::DeleteCertificate(_)) => {
            let status = DeleteCertificateStatusEnumType::NotFound;
            format!("[3,{id:?},{}]", encode(&DeleteCertificateResponse::new(status))?)
        }
        Ok(other) => json!([4, id, "NotSupported", other.action(), {}]).to_string(),
        // The answer names the place and the broken rule in the terms of OCPP, so that the CSMS can
        // correct its request.
        Err(error) => {
            let code = error.rpc_code(Version::V201);
            json!([4, id, code.as_str(Version::V201), causes(&error).to_string(), {}]).to_string()
        }
    };
    println!("{answer}");
    Ok(())
}
