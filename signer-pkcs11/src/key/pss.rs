//! RSASSA-PSS signatures with salts of any length (RFC 8017 §8.1.2).
//!
//! aws-lc verifies salts that are as long as the hash. OpenSSL's default is the longest possible
//! salt, and stations send such requests. A short salt, or none, makes a signature no easier to
//! forge in practice; the proof of possession holds. All inputs are public, so timing reveals
//! nothing.

use der::{AnyRef, Decode, Tag, Tagged, asn1::ObjectIdentifier};
use num_bigint::BigUint;
use sha2::{Digest, Sha256, Sha384, Sha512, digest::Output};

use crate::key::oid;

/// Parameters of an AlgorithmIdentifier with a strong hash, which is used for both the message and
/// the mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parameters {
    hash: Hash,
    salt_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Parameters {
    /// Parses the content of an AlgorithmIdentifier; `None` if it is not accepted.
    pub(crate) fn parse(algorithm_id: &[u8]) -> Option<Self> {
        let (algorithm, parameters) = algorithm_and_parameters(algorithm_id)?;
        if algorithm != oid::RSASSA_PSS {
            return None;
        }
        let parameters = parameters?;
        parameters.tag().assert_eq(Tag::Sequence).ok()?;
        let mut fields = [None; 4];
        let mut rest = parameters.value();
        let mut next = 0;
        while !rest.is_empty() {
            let (field, after) = AnyRef::from_der_partial(rest).ok()?;
            let Tag::ContextSpecific { constructed: true, number } = field.tag() else { return None };
            let number = usize::from(u8::try_from(number.value()).ok()?);
            // A SEQUENCE has its fields in order, each at most once.
            if number < next {
                return None;
            }
            *fields.get_mut(number)? = Some(AnyRef::from_der(field.value()).ok()?);
            next = number + 1;
            rest = after;
        }
        // RFC 4055 §3.1: an absent hash is SHA-1, which is refused; an absent salt length is 20.
        let [hash, mask, salt_bytes, trailer] = fields;
        let hash = Hash::of(hash?)?;
        let mask = mask?;
        mask.tag().assert_eq(Tag::Sequence).ok()?;
        let (mask, mask_hash) = algorithm_and_parameters(mask.value())?;
        let salt_bytes = match salt_bytes {
            Some(length) => usize::from(length.decode_as::<u16>().ok()?),
            None => 20,
        };
        let sound = mask == oid::MGF1
            && Hash::of(mask_hash?) == Some(hash)
            && trailer.is_none_or(|trailer| trailer.decode_as::<u8>() == Ok(1));
        sound.then_some(Self { hash, salt_bytes })
    }

    /// Whether the key has signed the message.
    pub(crate) fn verify(self, modulus: &[u8], exponent: &[u8], message: &[u8], signature: &[u8]) -> bool {
        match self.hash {
            Hash::Sha256 => self.verify_by::<Sha256>(modulus, exponent, message, signature),
            Hash::Sha384 => self.verify_by::<Sha384>(modulus, exponent, message, signature),
            Hash::Sha512 => self.verify_by::<Sha512>(modulus, exponent, message, signature),
        }
    }

    fn verify_by<D: Digest>(self, modulus: &[u8], exponent: &[u8], message: &[u8], signature: &[u8]) -> bool {
        if signature.len() != modulus.len() || exponent.len() > MAX_EXPONENT_BYTES {
            return false;
        }
        let n = BigUint::from_bytes_be(modulus);
        let s = BigUint::from_bytes_be(signature);
        if s >= n || !n.bit(0) {
            return false;
        }
        let encoded = s.modpow(&BigUint::from_bytes_be(exponent), &n).to_bytes_be();
        let Ok(bits) = usize::try_from(n.bits()) else { return false };
        let bits = bits - 1;
        let bytes = bits.div_ceil(8);
        if encoded.len() > bytes {
            return false;
        }
        let mut block = vec![0; bytes - encoded.len()];
        block.extend(encoded);
        is_encoding::<D>(&block, bits, self.salt_bytes, &D::digest(message))
    }
}

/// EMSA-PSS-VERIFY (RFC 8017 §9.1.2).
fn is_encoding<D: Digest>(block: &[u8], bits: usize, salt_bytes: usize, message_hash: &Output<D>) -> bool {
    let hash_bytes = <D as Digest>::output_size();
    let Some(masked_bytes) = block.len().checked_sub(hash_bytes + 1) else { return false };
    let Some(zeros) = masked_bytes.checked_sub(salt_bytes + 1) else { return false };
    let (masked, rest) = block.split_at(masked_bytes);
    let (hash, trailer) = rest.split_at(hash_bytes);
    // Bits of the first octet that lie beyond the encoding.
    let unused = 0xff_u8.checked_shl(8 - u32::try_from(8 * block.len() - bits).unwrap_or(0)).unwrap_or(0);
    if trailer != [0xbc] || masked[0] & unused != 0 {
        return false;
    }
    let mut plain = masked.to_vec();
    for (counter, chunk) in plain.chunks_mut(hash_bytes).enumerate() {
        let Ok(counter) = u32::try_from(counter) else { return false };
        let mask = D::new().chain_update(hash).chain_update(counter.to_be_bytes()).finalize();
        chunk.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    }
    plain[0] &= !unused;
    let (padding, salt) = plain.split_at(zeros + 1);
    let padding_is_right = padding[..zeros].iter().all(|byte| *byte == 0) && padding[zeros] == 1;
    let again = D::new().chain_update([0; 8]).chain_update(message_hash).chain_update(salt).finalize();
    padding_is_right && again.as_slice() == hash
}

impl Hash {
    fn of(id: AnyRef<'_>) -> Option<Self> {
        id.tag().assert_eq(Tag::Sequence).ok()?;
        let (algorithm, parameters) = algorithm_and_parameters(id.value())?;
        if !parameters.is_none_or(|parameters| parameters.is_null()) {
            return None;
        }
        match algorithm {
            oid::SHA256 => Some(Self::Sha256),
            oid::SHA384 => Some(Self::Sha384),
            oid::SHA512 => Some(Self::Sha512),
            _ => None,
        }
    }
}

fn algorithm_and_parameters(content: &[u8]) -> Option<(ObjectIdentifier, Option<AnyRef<'_>>)> {
    let (algorithm, rest) = ObjectIdentifier::from_der_partial(content).ok()?;
    let parameters = if rest.is_empty() { None } else { Some(AnyRef::from_der(rest).ok()?) };
    Some((algorithm, parameters))
}

/// Longer exponents only make the verification slow.
const MAX_EXPONENT_BYTES: usize = 4;
