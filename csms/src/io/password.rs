//! Passwords, kept as Argon2id hashes only (A01.FR.08).

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};

/// A password cannot be hashed.
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

/// The hash of a station's password, as the configuration wants it.
///
/// # Errors
/// [`HashPasswordError::Length`] where it is too short or too long.
pub fn hash_password(password: &str) -> Result<String, HashPasswordError> {
    if !(16..=64).contains(&password.chars().count()) {
        return Err(HashPasswordError::Length);
    }
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| HashPasswordError::Hash(error.to_string()))?;
    let hash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|error| HashPasswordError::Hash(error.to_string()))?;
    Ok(hash.to_string())
}

/// Whether a password is the one that was hashed; takes tens of milliseconds by design.
pub(crate) fn verify_password(password: &[u8], hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    Argon2::default().verify_password(password, &hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tc_a_03_only_the_right_password_fits() {
        let hash = hash_password("0123456789abcdef").expect("hashes");
        assert!(hash.starts_with("$argon2id$"));
        assert!(verify_password(b"0123456789abcdef", &hash));
        assert!(!verify_password(b"0123456789abcdeF", &hash));
        assert!(!verify_password(b"", &hash));
        assert!(!verify_password(b"0123456789abcdef", "no hash"));
    }

    #[test]
    fn a00_fr_205_short_and_long_passwords_are_refused() {
        for password in ["", "fifteen-charact", &"x".repeat(65)] {
            let error = hash_password(password).expect_err(password).to_string();
            assert!(password.is_empty() || !error.contains(password));
        }
    }
}
