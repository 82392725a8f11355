//! Frames as they are logged: at TRACE only, and without the secrets that OCPP itself transports.

use std::fmt;

use serde_json::Value;

/// Shows a frame with every secret replaced. A text that is not JSON is not shown at all, because
/// its secrets cannot be found.
///
/// Secrets are the passwords and keys that a CSMS sets in a station: the variable BasicAuthPassword
/// (A01), the configuration key AuthorizationKey (1.6), the passwords, pre-shared keys and PINs of
/// network profiles, and every other value with such a name.
pub(crate) struct Redacted<'a>(pub(crate) &'a str);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match serde_json::from_str::<Value>(self.0) {
            Ok(mut frame) => {
                redact(&mut frame);
                write!(formatter, "{frame}")
            }
            Err(_) => write!(formatter, "{} bytes that are not JSON", self.0.len()),
        }
    }
}

fn redact(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Object(members) => {
            // SetVariables, NotifyReport and their answers: the variable's name is beside its
            // value. ChangeConfiguration and GetConfiguration: the key is.
            let named = members.get("variable").and_then(|variable| variable.get("name"));
            let named = named.or_else(|| members.get("key"));
            let secret_value = named.and_then(Value::as_str).is_some_and(is_secret);
            // The pre-shared key of a network profile's VPN is named only `key`.
            let vpn = members.contains_key("password") && members.contains_key("user");
            for (name, member) in members.iter_mut() {
                let is_value = VALUES.contains(&name.as_str());
                if (secret_value && is_value) || (vpn && name == "key") || is_secret(name) {
                    blank(member);
                } else {
                    redact(member);
                }
            }
        }
        _ => {}
    }
}

fn blank(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(blank),
        Value::Object(members) => members.values_mut().for_each(blank),
        Value::Null => {}
        _ => *value = Value::from("[redacted]"),
    }
}

/// Whether the name of a variable, a configuration key or a member is secret. OCPP compares them
/// without regard to case.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRETS.iter().any(|secret| name.contains(secret))
}

/// The members with the value of a variable or of a key; for NotifyReport, all its attributes.
const VALUES: &[&str] = &["attributeValue", "value", "variableAttribute"];

/// Parts of the names of values that only the two ends may know.
const SECRETS: &[&str] = &["password", "authorizationkey", "simpin", "secret", "presharedkey"];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(frame: &str, expected: &str) {
        assert_eq!(Redacted(frame).to_string(), expected);
    }

    #[test]
    fn secrets_are_blanked_out_and_nothing_else() {
        check(
            r#"[2,"1","SetVariables",{"setVariableData":[{"attributeValue":"s3cret","component":{"name":"SecurityCtrlr"},"variable":{"name":"basicauthpassword"}},{"attributeValue":"60","component":{"name":"OCPPCommCtrlr"},"variable":{"name":"HeartbeatInterval"}}]}]"#,
            r#"[2,"1","SetVariables",{"setVariableData":[{"attributeValue":"[redacted]","component":{"name":"SecurityCtrlr"},"variable":{"name":"basicauthpassword"}},{"attributeValue":"60","component":{"name":"OCPPCommCtrlr"},"variable":{"name":"HeartbeatInterval"}}]}]"#,
        );
        check(
            r#"[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"73336372"}]"#,
            r#"[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"[redacted]"}]"#,
        );
        check(
            r#"[3,"1",{"configurationKey":[{"key":"authorizationKey","readonly":false,"value":"s3cret"}]}]"#,
            r#"[3,"1",{"configurationKey":[{"key":"authorizationKey","readonly":false,"value":"[redacted]"}]}]"#,
        );
        check(
            r#"[2,"1","SetNetworkProfile",{"connectionData":{"apn":{"apnPassword":"s3cret","simPin":1234},"basicAuthPassword":"s3cret","vpn":{"key":"s3cret","password":"s3cret","user":"u"}}}]"#,
            r#"[2,"1","SetNetworkProfile",{"connectionData":{"apn":{"apnPassword":"[redacted]","simPin":"[redacted]"},"basicAuthPassword":"[redacted]","vpn":{"key":"[redacted]","password":"[redacted]","user":"u"}}}]"#,
        );
    }

    #[test]
    fn what_is_not_json_is_not_shown() {
        check(
            r#"[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"s3cret"}"#,
            "72 bytes that are not JSON",
        );
    }
}
