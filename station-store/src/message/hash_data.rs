//! Hash data in the types of each version, which have the same fields.

/// Converts between hash data and the types of one version.
macro_rules! hash_data_message {
    ($data:ty, $algorithm:ty) => {
        impl crate::message::HashDataMessage for $data {
            type Algorithm = $algorithm;

            fn of_hash_data(hash: &certificates::HashData) -> Self {
                let algorithm = match hash.algorithm() {
                    certificates::HashAlgorithm::Sha256 => <$algorithm>::SHA256,
                    certificates::HashAlgorithm::Sha384 => <$algorithm>::SHA384,
                    certificates::HashAlgorithm::Sha512 => <$algorithm>::SHA512,
                };
                let text = hash.to_text();
                Self::new(
                    algorithm,
                    text.issuer_name_hash.try_into().expect("the longest digest has 64 octets"),
                    text.issuer_key_hash.try_into().expect("the longest digest has 64 octets"),
                    text.serial_number.try_into().expect("a serial number has at most 20 octets"),
                )
            }

            fn hash_data(&self) -> Result<certificates::HashData, certificates::HashDataError> {
                let algorithm = Self::algorithm(self.hash_algorithm);
                certificates::HashData::parse(
                    algorithm,
                    &self.issuer_name_hash,
                    &self.issuer_key_hash,
                    &self.serial_number,
                )
            }

            fn algorithm(name: $algorithm) -> certificates::HashAlgorithm {
                match name {
                    <$algorithm>::SHA256 => certificates::HashAlgorithm::Sha256,
                    <$algorithm>::SHA384 => certificates::HashAlgorithm::Sha384,
                    <$algorithm>::SHA512 => certificates::HashAlgorithm::Sha512,
                }
            }
        }
    };
}

pub(super) use hash_data_message;
