//! Decodes and encodes payloads without the standard library.
//!
//! The panic handler proves that the standard library is absent: if a dependency linked it, there
//! would be two handlers.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use ocpp_types::{DispatchError, EncodeError};

/// Why a payload was not answered.
#[derive(Debug)]
pub enum Problem {
    /// The payload was not accepted.
    Dispatch(DispatchError),
    /// The answer could not be written.
    Encode(EncodeError),
}

macro_rules! version {
    ($feature:literal, $module:ident) => {
        /// One version of OCPP.
        #[cfg(feature = $feature)]
        pub mod $module {
            use alloc::string::String;

            use ocpp_types::$module::{CallResult, CsmsCall, StationCall};

            use super::Problem;

            /// Decodes a CALL of the CSMS and encodes it again.
            pub fn call_of_csms(action: &str, payload: &str) -> Result<String, Problem> {
                let call = CsmsCall::decode(action, payload).map_err(Problem::Dispatch)?;
                call.encode().map_err(Problem::Encode)
            }

            /// Decodes a CALL of the station and encodes it again.
            pub fn call_of_station(action: &str, payload: &str) -> Result<String, Problem> {
                let call = StationCall::decode(action, payload).map_err(Problem::Dispatch)?;
                call.encode().map_err(Problem::Encode)
            }

            /// Decodes a CALLRESULT and encodes it again.
            pub fn result(action: &str, payload: &str) -> Result<String, Problem> {
                let result = CallResult::decode(action, payload).map_err(Problem::Dispatch)?;
                result.encode().map_err(Problem::Encode)
            }
        }
    };
}

version!("v16", v16);
version!("v201", v201);
version!("v21", v21);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
