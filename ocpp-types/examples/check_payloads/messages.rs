//! From the names of a version and a message to its type.

use ocpp_types::{DecodeError, EncodeError};

/// Why a payload did not come back.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// No such version, or its feature is off.
    UnknownVersion {
        /// Those that there are.
        known: &'static str,
    },
    /// The version has no such message.
    UnknownMessage,
    /// The payload breaks the schema.
    Decode {
        /// The code of the CALLERROR, in the version's spelling.
        code: String,
        /// Where and why.
        error: DecodeError,
    },
    /// What was decoded cannot be written.
    Encode(EncodeError),
}

/// Decodes a payload straight into its type, and writes it again.
///
/// # Errors
/// [`Refusal`] tells names that do not exist from a payload that breaks its schema.
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

/// Goes through the enumerations of a version: requests by both senders, responses, and what is
/// never answered.
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

// The files of 1.6's schemas have the action's name alone for its request.
#[cfg(feature = "v16")]
version!(v16, V16, "Request" StationCall "Request" CsmsCall "Response" CallResult "" StationCall "" CsmsCall);
#[cfg(feature = "v201")]
version!(v201, V201, "Request" StationCall "Request" CsmsCall "Response" CallResult);
#[cfg(feature = "v21")]
version!(v21, V21, "Request" StationCall "Request" CsmsCall "Response" CallResult "" StationSend);
