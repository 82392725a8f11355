//! The payloads that are decoded and encoded: the same text for each contestant.

/// A DeleteCertificateRequest.
#[must_use]
pub fn delete_certificate() -> String {
    format!(r#"{{"certificateHashData":{}}}"#, hash_data(0))
}

/// A GetInstalledCertificateIdsResponse with 20 chains of 2 children each.
#[must_use]
pub fn installed_certificate_ids() -> String {
    let chains: Vec<String> = (0..20)
        .map(|chain| {
            format!(
                r#"{{"certificateHashData":{},"certificateType":"V2GCertificateChain","childCertificateHashData":[{},{}]}}"#,
                hash_data(3 * chain),
                hash_data(3 * chain + 1),
                hash_data(3 * chain + 2)
            )
        })
        .collect();
    format!(r#"{{"status":"Accepted","certificateHashDataChain":[{}]}}"#, chains.join(","))
}

/// A SignCertificateRequest with a CSR of 1.2 kB in PEM.
#[must_use]
pub fn sign_certificate() -> String {
    let base64: String = (0..16).map(|line| format!(r"{}\n", letters(line, 64))).collect();
    let csr = format!(
        r"-----BEGIN CERTIFICATE REQUEST-----\n{base64}{}\n-----END CERTIFICATE REQUEST-----\n",
        letters(16, 40)
    );
    format!(r#"{{"csr":"{csr}","certificateType":"ChargingStationCertificate"}}"#)
}

/// A TransactionEventRequest with 18 sampled values.
#[must_use]
pub fn transaction_event() -> String {
    let mut values = Vec::new();
    for (measurand, unit) in [
        ("Voltage", "V"),
        ("Current.Import", "A"),
        ("Current.Offered", "A"),
        ("Power.Active.Import", "W"),
        ("Energy.Active.Import.Register", "Wh"),
        ("Power.Factor", "Percent"),
    ] {
        for (index, phase) in ["L1", "L2", "L3"].into_iter().enumerate() {
            values.push(format!(
                r#"{{"value":{}.{},"context":"Sample.Periodic","measurand":"{measurand}","phase":"{phase}","location":"Outlet","unitOfMeasure":{{"unit":"{unit}"}}}}"#,
                220 + 7 * index + values.len(),
                1 + index
            ));
        }
    }
    format!(
        r#"{{"eventType":"Updated","meterValue":[{{"sampledValue":[{}],"timestamp":"2026-05-06T12:00:00.125Z"}}],"timestamp":"2026-05-06T12:00:00.250Z","triggerReason":"MeterValuePeriodic","seqNo":17,"offline":false,"transactionInfo":{{"transactionId":"3f1a77bd-08ff-4b3f-0d4a-1a6a2e9b1a2c","chargingState":"Charging"}},"evse":{{"id":1,"connectorId":1}},"idToken":{{"idToken":"04A2B3C4D5E6F7","type":"ISO14443"}}}}"#,
        values.join(",")
    )
}

fn hash_data(seed: usize) -> String {
    format!(
        r#"{{"hashAlgorithm":"SHA256","issuerNameHash":"{}","issuerKeyHash":"{}","serialNumber":"{}"}}"#,
        digits(seed, 64),
        digits(seed + 7, 64),
        digits(seed + 13, 16)
    )
}

fn digits(seed: usize, count: usize) -> String {
    pick(b"0123456789abcdef", seed, count)
}

fn letters(seed: usize, count: usize) -> String {
    pick(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", seed, count)
}

fn pick(alphabet: &[u8], seed: usize, count: usize) -> String {
    (0..count)
        .map(|index| char::from(alphabet[(seed * 31 + index * 17 + index * index * 5) % alphabet.len()]))
        .collect()
}
