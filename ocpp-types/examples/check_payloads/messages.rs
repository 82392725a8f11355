//! Finds the type for the names of a version and a message.

use ocpp_types::{DecodeError, EncodeError};

/// Why a payload was not decoded and encoded again.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The version does not exist, or its feature is disabled.
    UnknownVersion {
        /// The known versions.
        known: &'static str,
    },
    /// The version has no such message.
    UnknownMessage,
    /// The payload breaks the schema.
    Decode {
        /// The code of the CALLERROR, in the version's spelling.
        code: String,
        /// The place and the reason.
        error: DecodeError,
    },
    /// The decoded value cannot be written.
    Encode(EncodeError),
}

/// Decodes a payload directly into its type, and encodes it again.
///
/// # Errors
/// [`Refusal`] distinguishes unknown names from a payload that breaks its schema.
pub(crate) fn round_trip(version: &str, message: &str, payload: &str) -> Result<String, Refusal> {
    match version {
        #[cfg(feature = "v16")]
        "1.6" => v16(message, payload),
        #[cfg(feature = "v201")]
        "2.0.1" => v201(message, payload),
        #[cfg(feature = "v21")]
        "2.1" => v21(message, payload),
        _ => {
            let _ = (message, payload);
            Err(Refusal::UnknownVersion { known: KNOWN })
        }
    }
}

const KNOWN: &str = match (cfg!(feature = "v16"), cfg!(feature = "v201"), cfg!(feature = "v21")) {
    (false, false, false) => "none, for no feature of a version is on",
    (true, false, false) => "1.6",
    (false, true, false) => "2.0.1",
    (true, true, false) => "1.6, 2.0.1",
    (false, false, true) => "2.1",
    (true, false, true) => "1.6, 2.1",
    (false, true, true) => "2.0.1, 2.1",
    (true, true, true) => "1.6, 2.0.1, 2.1",
};

/// Tries the enumerations of a version: requests by both senders, responses, and messages without
/// an answer.
#[cfg(any(feature = "v16", feature = "v201", feature = "v21"))]
macro_rules! version {
    ($module:ident, $variant:ident, $($suffix:literal $payloads:ident)*) => {
        fn $module(message: &str, payload: &str) -> Result<String, Refusal> {
            use ocpp_types::{DispatchError, Version, $module};

            $(if let Some(action) = message.strip_suffix($suffix) {
                match $module::$payloads::decode(action, payload) {
                    Ok(payload) => return payload.encode().map_err(Refusal::Encode),
                    Err(DispatchError::Payload(error)) => {
                        let code = error.rpc_code(Version::$variant).as_str(Version::$variant).to_owned();
                        return Err(Refusal::Decode { code, error });
                    }
                    // An action of another enumeration, or of none.
                    Err(_) => {}
                }
            })*
            Err(Refusal::UnknownMessage)
        }
    };
}

// In the schemas of 1.6, the file of a request has the name of the action only.
#[cfg(feature = "v16")]
version!(v16, V16, "Request" StationCall "Request" CsmsCall "Response" CallResult "" StationCall "" CsmsCall);
#[cfg(feature = "v201")]
version!(v201, V201, "Request" StationCall "Request" CsmsCall "Response" CallResult);
#[cfg(feature = "v21")]
version!(v21, V21, "Request" StationCall "Request" CsmsCall "Response" CallResult "" StationSend);
