//! Rust names for the specification's own names.

/// The file of a type: `OCSPRequestDataType` is in `ocsp_request_data_type`.
pub(crate) fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| letters.get(index));
        let after = letters.get(index + 1);
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                !before.is_uppercase() || after.is_some_and(|after| after.is_lowercase())
            });
        if starts_word {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

/// The variant of a value: its own letters, without the characters that Rust does not allow.
///
/// `Current.Import` is `CurrentImport`, `L1-N` is `L1N`. An underscore separates two digits that
/// would otherwise be adjacent: `s309-1P-16A` is `S309_1P16A`.
pub(crate) fn variant(value: &str) -> String {
    let mut out = String::new();
    for word in value.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let mut letters = word.chars();
        let Some(first) = letters.next() else { continue };
        if first.is_ascii_digit() && out.ends_with(|last: char| last.is_ascii_digit()) {
            out.push('_');
        }
        out.push(first.to_ascii_uppercase());
        out.extend(letters);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{snake, variant};

    #[test]
    fn files() {
        for (name, file) in [
            ("SignCertificate", "sign_certificate"),
            ("OCSPRequestDataType", "ocsp_request_data_type"),
            ("NotifyEVChargingNeeds", "notify_ev_charging_needs"),
            ("Get15118EVCertificate", "get15118_ev_certificate"),
            ("EVSEType", "evse_type"),
        ] {
            assert_eq!(snake(name), file);
        }
    }

    #[test]
    fn variants() {
        for (value, name) in [
            ("SHA256", "SHA256"),
            ("V2GCertificateChain", "V2GCertificateChain"),
            ("Current.Import", "CurrentImport"),
            ("L1-N", "L1N"),
            ("s309-1P-16A", "S309_1P16A"),
            ("sCEE-7-7", "SCEE7_7"),
            ("AC_single_phase", "ACSinglePhase"),
            ("eMAID", "EMAID"),
        ] {
            assert_eq!(variant(value), name);
        }
    }
}
