//! Points and signatures: the raw forms of tokens and the DER of certificates.

use der::{Decode, Encode, asn1::OctetStringRef, asn1::UintRef};

/// The uncompressed point of a CKA_EC_POINT value.
///
/// PKCS #11 requires `OCTET STRING(04 ‖ x ‖ y)`; some tokens return the bare point. Both are
/// accepted. They cannot be confused: both begin with 04, but only one has the length of the curve.
///
/// tpm2-pkcs11 1.9 encodes the length of a point on P-521 in one octet, where DER requires two, and
/// cannot read that itself afterwards. A key that is refused here is destroyed before it can do
/// harm.
pub(crate) fn uncompressed_point(value: &[u8], coordinate_bytes: usize) -> Option<&[u8]> {
    let is_point = |bytes: &[u8]| bytes.len() == 1 + 2 * coordinate_bytes && bytes[0] == 4;
    if is_point(value) {
        return Some(value);
    }
    let inner = <&OctetStringRef>::from_der(value).ok()?.as_bytes();
    is_point(inner).then_some(inner)
}

/// `ECDSA-Sig-Value` (RFC 3279 §2.2.3) of a token's `r ‖ s`; `None` if the length is not that of
/// the curve.
pub(crate) fn ecdsa_signature_to_der(raw: &[u8], coordinate_bytes: usize) -> Option<Vec<u8>> {
    if raw.len() != 2 * coordinate_bytes {
        return None;
    }
    let (r, s) = raw.split_at(coordinate_bytes);
    // UintRef strips leading zeros and adds the one that keeps the number positive.
    EcdsaSignature { r: UintRef::new(r).ok()?, s: UintRef::new(s).ok()? }.to_der().ok()
}

/// The 32 bytes of an Ed25519 key in a CKA_EC_POINT value, wrapped in an OCTET STRING or bare.
pub(crate) fn edwards_point(value: &[u8]) -> Option<&[u8]> {
    let inner = if value.len() == 32 { value } else { <&OctetStringRef>::from_der(value).ok()?.as_bytes() };
    (inner.len() == 32).then_some(inner)
}

/// CKA_EC_PARAMS of Ed25519 on a token that follows PKCS #11 3.0 literally: PrintableString
/// "edwards25519".
pub(crate) const EDWARDS_25519: &[u8] = b"\x13\x0cedwards25519";

#[derive(der::Sequence)]
struct EcdsaSignature<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

#[cfg(test)]
mod tests {
    use der::Decode;
    use proptest::prelude::*;

    use super::{EcdsaSignature, ecdsa_signature_to_der, uncompressed_point};

    #[test]
    fn both_forms_of_a_point() {
        let mut point = vec![4];
        point.extend([7; 64]);
        let mut wrapped = vec![4, 65];
        wrapped.extend(&point);
        assert_eq!(uncompressed_point(&point, 32), Some(&point[..]));
        assert_eq!(uncompressed_point(&wrapped, 32), Some(&point[..]));
        // A point whose x begins with 65 looks like an OCTET STRING header: the length decides.
        point[1] = 65;
        assert_eq!(uncompressed_point(&point, 32), Some(&point[..]));
    }

    #[test]
    fn a_point_on_p_521_has_a_length_of_two_octets() {
        let mut point = vec![4];
        point.extend([7; 132]);
        assert_eq!(uncompressed_point(&[&[4, 0x81, 133][..], &point].concat(), 66), Some(&point[..]));
        assert_eq!(uncompressed_point(&[&[4, 133][..], &point].concat(), 66), None);
    }

    #[test]
    fn what_is_not_a_point() {
        assert_eq!(uncompressed_point(&[], 32), None);
        assert_eq!(uncompressed_point(&[4; 64], 32), None);
        assert_eq!(uncompressed_point(&[2; 65], 32), None);
        assert_eq!(uncompressed_point(&[4; 97], 32), None);
        assert_eq!(uncompressed_point(&[4, 66, 4, 0], 32), None);
    }

    #[test]
    fn leading_zeros_and_high_bits() {
        let mut raw = [0; 64];
        raw[31] = 1;
        raw[32] = 0x80;
        let der = ecdsa_signature_to_der(&raw, 32).unwrap();
        let mut expected = vec![0x30, 38, 2, 1, 1, 2, 33, 0, 0x80];
        expected.extend([0; 31]);
        assert_eq!(der, expected);
    }

    #[test]
    fn wrong_length_is_refused() {
        for length in [0, 1, 63, 65, 96] {
            assert_eq!(ecdsa_signature_to_der(&vec![1; length], 32), None, "{length}");
        }
    }

    fn padded(number: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 32 - number.len()];
        bytes.extend(number);
        bytes
    }

    proptest! {
        #[test]
        fn der_holds_the_same_numbers(r: [u8; 32], s: [u8; 32], zeros in 0usize..32) {
            let mut r = r;
            r[..zeros].fill(0);
            let der = ecdsa_signature_to_der(&[r, s].concat(), 32).unwrap();
            let parsed = EcdsaSignature::from_der(&der).unwrap();
            prop_assert_eq!(padded(parsed.r.as_bytes()), r);
            prop_assert_eq!(padded(parsed.s.as_bytes()), s);
        }
    }
}
