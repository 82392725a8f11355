//! Passwords, kept as hashes only (A01.FR.08): Argon2id, or salted SHA-256 of random ones.

use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};

use zeroize::Zeroizing;

use crate::stations::{io::login::hashing::HashMemory, login::RandomHash};

/// Why a password cannot be hashed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HashPasswordError {
    /// A00.FR.205.
    #[error("the password has to have 16 to 64 characters (A00.FR.205)")]
    Length,
    /// Argon2 failed.
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
}

/// The hash of a station's password, in the format of the configuration.
///
/// # Errors
/// [`HashPasswordError::Length`] if the password is too short or too long.
pub fn hash_password(password: &str) -> Result<String, HashPasswordError> {
    hash_within(password, &mut HashMemory::default())
}

/// The hash of a station's password, computed in existing memory.
pub(crate) fn hash_within(password: &str, memory: &mut HashMemory) -> Result<String, HashPasswordError> {
    if !(16..=64).contains(&password.chars().count()) {
        return Err(HashPasswordError::Length);
    }
    let failed = |error: &dyn std::fmt::Display| HashPasswordError::Hash(error.to_string());
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| failed(&error))?;
    let params = Params::default();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    let blocks = memory.blocks(params.block_count());
    argon2
        .hash_password_into_with_memory(password.as_bytes(), &salt, &mut output, blocks)
        .map_err(|error| failed(&error))?;
    let hash = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(|error| failed(&error))?,
        salt: Some(Salt::new(&salt).map_err(|error| failed(&error))?),
        hash: Some(Output::new(&output).map_err(|error| failed(&error))?),
    };
    Ok(hash.to_string())
}

/// A password of 160 random bits: 40 hexadecimal digits, which each version of OCPP can carry
/// (A00.FR.205).
pub struct GeneratedPassword {
    /// The password. It is kept nowhere else.
    pub password: Zeroizing<String>,
    /// Its hash, in the format of the configuration.
    pub hash: String,
}

/// Omits the password.
impl std::fmt::Debug for GeneratedPassword {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("GeneratedPassword").finish_non_exhaustive()
    }
}

/// Makes a password of random bytes of the operating system.
///
/// # Errors
/// [`HashPasswordError::Hash`] if the operating system provides no random numbers.
pub fn generate_password() -> Result<GeneratedPassword, HashPasswordError> {
    let mut bytes = Zeroizing::new([0; 20]);
    getrandom::fill(bytes.as_mut()).map_err(|error| HashPasswordError::Hash(error.to_string()))?;
    let password = Zeroizing::new(hex::encode_upper(bytes.as_ref()));
    let hash = hash_random(&password)?;
    Ok(GeneratedPassword { password, hash })
}

/// The hash of a password of at least 128 random bits.
pub(crate) fn hash_random(password: &str) -> Result<String, HashPasswordError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| HashPasswordError::Hash(error.to_string()))?;
    Ok(RandomHash::new(salt, password.as_bytes()).to_string())
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordVerifier as _;

    use super::*;
    use crate::stations::login::StoredHash;

    #[test]
    fn tc_a_03_only_the_right_password_fits() {
        let text = hash_password("0123456789abcdef").expect("hashes");
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
        let Ok(StoredHash::Argon2id(hash)) = StoredHash::parse(&text) else { panic!("within its bounds") };
        let mut memory = HashMemory::default();
        for (password, fits) in [("0123456789abcdef", true), ("0123456789abcdeF", false), ("", false)] {
            assert_eq!(hash.is_of(password.as_bytes(), memory.blocks(hash.blocks())), fits, "{password}");
            // The crate's own verifier, which allocates its memory.
            let theirs = PasswordHash::new(&text).expect("parses");
            assert_eq!(Argon2::default().verify_password(password.as_bytes(), &theirs).is_ok(), fits);
        }
    }

    #[test]
    fn a00_fr_205_short_and_long_passwords_are_refused() {
        for password in ["", "fifteen-charact", &"x".repeat(65)] {
            let error = hash_password(password).expect_err(password).to_string();
            assert!(password.is_empty() || !error.contains(password));
        }
    }
}
