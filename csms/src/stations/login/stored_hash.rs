//! The hash of a password in the configuration or the ledger: Argon2id with a bounded cost, or a
//! salted SHA-256 of a password that this program has made of random bytes.

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, PasswordHash, Salt},
};
use base64ct::{Base64Unpadded, Encoding as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A hash that a password can be verified against, within the bounds of [`HashCost`].
#[derive(Clone, Debug)]
pub(crate) enum StoredHash {
    /// Of a password that a person may have chosen.
    Argon2id(Argon2idHash),
    /// Of a password of at least 128 random bits. Nobody can try that many, so that the hash need
    /// not be slow.
    Random(RandomHash),
}

/// An Argon2id hash.
#[derive(Clone, Debug)]
pub(crate) struct Argon2idHash {
    version: Version,
    params: Params,
    salt: Salt,
    output: Output,
}

/// `$sha256$SALT$HASH`: SHA-256 over 16 bytes of salt and the password, in Base64 without padding.
#[derive(Clone, Debug)]
pub(crate) struct RandomHash {
    salt: [u8; 16],
    output: [u8; 32],
}

/// Why a hash cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnusableHash {
    /// Not an Argon2id hash with salt and output.
    #[error("is not a hash that this service makes; make it with `ocpp-csms hash-password`")]
    Format,
    /// One verification would exceed the bounds of a worker.
    #[error(
        "demands {name}={demanded}, at most {bound} is permitted; make it with `ocpp-csms hash-password`"
    )]
    Cost {
        /// The parameter of Argon2: `m` in KiB, `t` in passes, `p` in lanes.
        name: &'static str,
        /// The value in the hash.
        demanded: u32,
        /// The largest permitted value.
        bound: u32,
    },
}

/// The bounds of the cost of one hash. Each worker keeps the memory of the largest hash that it has
/// computed.
pub(crate) struct HashCost;

impl HashCost {
    /// Memory, in KiB. `ocpp-csms hash-password` takes 19 MiB; the second choice of RFC 9106 takes
    /// 64 MiB.
    pub(crate) const MAX_MEMORY_KIB: u32 = 64 * 1024;
    /// Passes over the memory.
    pub(crate) const MAX_PASSES: u32 = 5;
    /// Lanes. They are computed one after the other.
    pub(crate) const MAX_LANES: u32 = 4;
}

impl StoredHash {
    /// Reads a hash in the PHC string format.
    ///
    /// # Errors
    /// [`UnusableHash`].
    pub(crate) fn parse(text: &str) -> Result<Self, UnusableHash> {
        match text.strip_prefix(RANDOM_PREFIX) {
            Some(rest) => RandomHash::parse(rest).map(Self::Random).ok_or(UnusableHash::Format),
            None => Argon2idHash::parse(text).map(Self::Argon2id),
        }
    }
}

impl RandomHash {
    /// The hash of a password of at least 128 random bits.
    pub(crate) fn new(salt: [u8; 16], password: &[u8]) -> Self {
        Self { salt, output: Sha256::new().chain_update(salt).chain_update(password).finalize().into() }
    }

    fn parse(rest: &str) -> Option<Self> {
        let (salt, output) = rest.split_once('$')?;
        let (mut parsed, mut hash) = ([0; 16], [0; 32]);
        let salt = Base64Unpadded::decode(salt, &mut parsed).ok().map(<[u8]>::len);
        let output = Base64Unpadded::decode(output, &mut hash).ok().map(<[u8]>::len);
        (salt == Some(16) && output == Some(32)).then_some(Self { salt: parsed, output: hash })
    }

    /// Whether a password is the one that was hashed. The comparison takes the same time wherever
    /// the outputs differ.
    pub(crate) fn is_of(&self, password: &[u8]) -> bool {
        Self::new(self.salt, password).output.ct_eq(&self.output).into()
    }
}

impl std::fmt::Display for RandomHash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (salt, output) =
            (Base64Unpadded::encode_string(&self.salt), Base64Unpadded::encode_string(&self.output));
        write!(formatter, "{RANDOM_PREFIX}{salt}${output}")
    }
}

impl Argon2idHash {
    fn parse(text: &str) -> Result<Self, UnusableHash> {
        let hash = PasswordHash::new(text).map_err(|_| UnusableHash::Format)?;
        let params = Params::try_from(&hash).map_err(|_| UnusableHash::Format)?;
        let version = match hash.version {
            Some(version) => Version::try_from(version).map_err(|_| UnusableHash::Format)?,
            None => Version::default(),
        };
        let (Some(salt), Some(output), "argon2id") = (hash.salt, hash.hash, hash.algorithm.as_str()) else {
            return Err(UnusableHash::Format);
        };
        for (name, demanded, bound) in [
            ("m", params.m_cost(), HashCost::MAX_MEMORY_KIB),
            ("t", params.t_cost(), HashCost::MAX_PASSES),
            ("p", params.p_cost(), HashCost::MAX_LANES),
        ] {
            if demanded > bound {
                return Err(UnusableHash::Cost { name, demanded, bound });
            }
        }
        Ok(Self { version, params, salt, output })
    }

    /// The number of memory blocks that a verification needs.
    pub(crate) fn blocks(&self) -> usize {
        self.params.block_count()
    }

    /// Whether a password is the one that was hashed. `memory` has at least
    /// [`Argon2idHash::blocks`]. The comparison takes the same time wherever the outputs differ.
    pub(crate) fn is_of(&self, password: &[u8], memory: &mut [Block]) -> bool {
        let argon2 = Argon2::new(Algorithm::Argon2id, self.version, self.params.clone());
        let mut buffer = [0; Output::MAX_LENGTH];
        let Some(computed) = buffer.get_mut(..self.output.len()) else { return false };
        if argon2.hash_password_into_with_memory(password, &self.salt, computed, memory).is_err() {
            return false;
        }
        Output::new(computed).is_ok_and(|computed| computed == self.output)
    }
}

const RANDOM_PREFIX: &str = "$sha256$";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_password_has_a_salted_sha_256() {
        // printf '0123456789abcdefpassword' | openssl dgst -sha256 -binary | base64
        let hash = RandomHash::new(*b"0123456789abcdef", b"password");
        let text = hash.to_string();
        assert_eq!(text, format!("$sha256$MDEyMzQ1Njc4OWFiY2RlZg${VECTOR}"));
        let Ok(StoredHash::Random(hash)) = StoredHash::parse(&text) else { panic!("{text}") };
        assert!(hash.is_of(b"password") && !hash.is_of(b"passwore") && !hash.is_of(b""));
        for wrong in ["$sha256$", "$sha256$MDEy$MDEy", &format!("{text}x"), &text[..text.len() - 1]] {
            assert_eq!(StoredHash::parse(wrong).err(), Some(UnusableHash::Format), "{wrong}");
        }
    }

    const VECTOR: &str = "1L/j/BXOHvOEZozprhC0chInfDclCyDGNazzv/GiZVQ";

    const OUTPUT: &str = "c29tZSBzYWx0$dHdlbnR5IGVpZ2h0IGJ5dGVz";

    #[test]
    fn the_cost_of_a_hash_is_bounded() {
        for (params, expected) in [
            ("m=19456,t=2,p=1", None),
            ("m=65536,t=5,p=4", None),
            ("m=65537,t=2,p=1", Some(("m", 65_537, 65_536))),
            ("m=4194304,t=2,p=1", Some(("m", 4_194_304, 65_536))),
            ("m=19456,t=6,p=1", Some(("t", 6, 5))),
            ("m=19456,t=4294967295,p=1", Some(("t", u32::MAX, 5))),
            ("m=19456,t=2,p=5", Some(("p", 5, 4))),
        ] {
            let found = StoredHash::parse(&format!("$argon2id$v=19${params}${OUTPUT}")).err();
            let expected =
                expected.map(|(name, demanded, bound)| UnusableHash::Cost { name, demanded, bound });
            assert_eq!(found, expected, "{params}");
        }
    }

    #[test]
    fn other_hashes_are_refused() {
        for text in [
            "",
            "hunter2",
            "$argon2id$v=19$m=19456",
            &format!("$argon2i$v=19$m=19456,t=2,p=1${OUTPUT}"),
            &format!("$argon2d$v=19$m=19456,t=2,p=1${OUTPUT}"),
            &format!("$argon2id$v=7$m=19456,t=2,p=1${OUTPUT}"),
            &format!("$argon2id$v=19$m=0,t=2,p=1${OUTPUT}"),
            &format!("$scrypt$ln=16,r=8,p=1${OUTPUT}"),
        ] {
            assert_eq!(StoredHash::parse(text).err(), Some(UnusableHash::Format), "{text}");
        }
    }

    /// A vector of the reference implementation of Argon2.
    #[test]
    fn memory_that_was_used_before_changes_no_result() {
        let text = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let hash = Argon2idHash::parse(text).expect("a hash");
        let mut memory = vec![Block::new(); hash.blocks() + 7];
        for _ in 0..2 {
            assert!(hash.is_of(b"password", &mut memory));
            assert!(!hash.is_of(b"passwore", &mut memory));
        }
        assert!(!hash.is_of(b"password", &mut memory[..hash.blocks() - 1]), "too little memory");
    }
}
