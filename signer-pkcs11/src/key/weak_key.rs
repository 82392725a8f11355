//! RSA keys that are long enough but weak.
//!
//! The checks are those of public authorities: exponent, small factors, close factors, the ROCA
//! generator, and primes or their powers. All of them need the public half only.

use std::sync::LazyLock;

use num_bigint::BigUint;

use crate::key::error::PublicKeyError;

/// Refuses a key whose private half can be computed from its public half.
///
/// # Errors
/// [`PublicKeyError`], a variant for each weakness.
pub(crate) fn check_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(), PublicKeyError> {
    // Smaller exponents have made signatures forgeable in many implementations; larger ones gain
    // nothing.
    if exponent != [1, 0, 1] {
        return Err(PublicKeyError::Exponent);
    }
    let modulus = BigUint::from_bytes_be(modulus);
    if !modulus.bit(0) {
        return Err(PublicKeyError::SmallFactor { factor: 2 });
    }
    if let Some(factor) = small_factor(&modulus) {
        return Err(PublicKeyError::SmallFactor { factor });
    }
    if has_close_factors(&modulus) {
        return Err(PublicKeyError::CloseFactors);
    }
    if has_roca_fingerprint(&modulus) {
        return Err(PublicKeyError::Roca);
    }
    if is_prime_power(&modulus) {
        return Err(PublicKeyError::PrimePower);
    }
    Ok(())
}

/// A factor among the odd primes up to [`MAX_SMALL_PRIME`].
fn small_factor(modulus: &BigUint) -> Option<u32> {
    PRIMES.products.iter().find_map(|(product, primes)| {
        let remainder = low_word(&(modulus % *product));
        primes.iter().copied().find(|prime| remainder.is_multiple_of(u64::from(*prime)))
    })
}

/// Fermat's method: n = a² − b² with a just above √n, if both factors are close to √n.
/// CVE-2022-26320.
fn has_close_factors(modulus: &BigUint) -> bool {
    let root = modulus.sqrt();
    let first = &root + u32::from(&root * &root != *modulus);
    let mut square = &first * &first - modulus;
    // From a² − n to (a + 1)² − n.
    let mut step = (first << 1u8) + 1u8;
    (0..MAX_FERMAT_ROUNDS).any(|_| {
        let found = is_square(&square);
        square += &step;
        step += 2u8;
        found
    })
}

/// Whether the modulus is a prime or the power of one, which everybody can factor (NIST SP 800-89,
/// 5.3.3; SP 800-56B, 6.4.2).
///
/// Modulo a prime p, 2ᵖ = 2, and so is 2 to the power of each power of p. So p divides 2ⁿ − 2 if n
/// is such a power. For a product of two primes of an honest generator they have no common factor.
fn is_prime_power(modulus: &BigUint) -> bool {
    let power = BigUint::from(2_u8).modpow(modulus, modulus);
    let (mut greater, mut less) = (modulus.clone(), (power + modulus - 2_u8) % modulus);
    while less != BigUint::ZERO {
        let rest = greater % &less;
        greater = std::mem::replace(&mut less, rest);
    }
    greater != BigUint::from(1_u8)
}

fn is_square(number: &BigUint) -> bool {
    // Squares are 0, 1, 4 or 9 modulo 16, and rare modulo 63, 65 and 11: the root is computed in
    // one case of a hundred.
    let modulo_16 = low_word(number) & 15;
    if ![0, 1, 4, 9].contains(&modulo_16) {
        return false;
    }
    let remainder = low_word(&(number % (63 * 65 * 11_u32)));
    let is_residue = |modulus: u64| (0..modulus).any(|root| root * root % modulus == remainder % modulus);
    if ![63, 65, 11].into_iter().all(is_residue) {
        return false;
    }
    let root = number.sqrt();
    &root * &root == *number
}

/// CVE-2017-15361: the generator made primes of the form k·M + (65537ᵃ mod M), where M is the
/// product of the first primes. So the modulus is a power of 65537 modulo each of them. For other
/// moduli that happens by chance once in 2²⁷ cases.
fn has_roca_fingerprint(modulus: &BigUint) -> bool {
    PRIMES.roca.iter().all(|(prime, powers)| {
        let remainder = low_word(&(modulus % *prime));
        usize::try_from(remainder).is_ok_and(|remainder| powers[remainder])
    })
}

fn low_word(number: &BigUint) -> u64 {
    number.iter_u64_digits().next().unwrap_or(0)
}

/// Precomputed primes for the checks.
struct Primes {
    /// Odd primes in groups, with the product of each group: one long division serves a whole
    /// group.
    products: Vec<(u64, Vec<u32>)>,
    /// Primes, and which remainders are powers of 65537.
    roca: Vec<(u32, Vec<bool>)>,
}

static PRIMES: LazyLock<Primes> = LazyLock::new(|| {
    let primes = (3..=MAX_SMALL_PRIME)
        .filter(|candidate| (2..*candidate).take_while(|d| d * d <= *candidate).all(|d| candidate % d != 0));
    let mut products: Vec<(u64, Vec<u32>)> = Vec::new();
    let mut roca = Vec::new();
    for prime in primes {
        match products.last_mut() {
            Some((product, group)) if product.checked_mul(u64::from(prime)).is_some() => {
                *product *= u64::from(prime);
                group.push(prime);
            }
            _ => products.push((u64::from(prime), vec![prime])),
        }
        if prime <= MAX_ROCA_PRIME {
            let mut powers = vec![false; prime as usize];
            let mut power = 1;
            while !powers[power as usize] {
                powers[power as usize] = true;
                power = power * (65537 % prime) % prime;
            }
            roca.push((prime, powers));
        }
    }
    Primes { products, roca }
});

/// The bound that large public authorities use.
const MAX_SMALL_PRIME: u32 = 751;

/// The bound of the published detectors: for every affected key length, M contains all primes up to
/// it.
const MAX_ROCA_PRIME: u32 = 167;

/// The number that large public authorities use: a sound key is never factored within it.
const MAX_FERMAT_ROUNDS: usize = 110;

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;

    use super::{
        check_rsa, has_close_factors, has_roca_fingerprint, is_prime_power, is_square, small_factor,
    };
    use crate::key::error::PublicKeyError;

    #[test]
    fn squares() {
        for number in 0..3000_u32 {
            let root = f64::from(number).sqrt().round();
            assert_eq!(is_square(&number.into()), root * root == f64::from(number), "{number}");
        }
        let long = (BigUint::from(1_u8) << 1000_u32) + 12345_u32;
        assert!(is_square(&(&long * &long)) && !is_square(&(&long * &long + 1_u8)));
    }

    #[test]
    fn small_factors() {
        // 2⁴⁰⁰ + 1 has no factor below 751.
        let two_to_400 = BigUint::from(1_u8) << 400_u32;
        let sound = &two_to_400 + 1_u8;
        assert_eq!(small_factor(&sound), None);
        assert_eq!(small_factor(&(&sound * 3_u8)), Some(3));
        assert_eq!(small_factor(&(&sound * 751_u32)), Some(751));
        let even = (two_to_400 * 2_u8).to_bytes_be();
        assert_eq!(check_rsa(&even, &[1, 0, 1]), Err(PublicKeyError::SmallFactor { factor: 2 }));
    }

    #[test]
    fn close_factors() {
        let p = (BigUint::from(1_u8) << 512_u32) + 75_u32;
        assert!(has_close_factors(&(&p * &p)), "a square");
        assert!(has_close_factors(&(&p * (&p + 5000_u32 * 2))));
        let far = &p + (BigUint::from(1_u8) << 300_u32);
        assert!(!has_close_factors(&(&p * (far + 2_u8))));
    }

    /// SP 800-56B, 6.4.2.2: composite, and not the power of a prime.
    #[test]
    fn sp_800_56b_primes_and_their_powers() {
        // 2⁵²¹ − 1 and 2⁶⁰⁷ − 1 are prime.
        let mersenne = |exponent: u32| (BigUint::from(1_u8) << exponent) - 1_u8;
        for exponent in [1, 2, 3, 4, 5, 7] {
            assert!(is_prime_power(&mersenne(521).pow(exponent)), "{exponent}");
        }
        assert!(!is_prime_power(&(mersenne(521) * ((BigUint::from(1_u8) << 512_u32) + 75_u8))));
        let prime = mersenne(2203).to_bytes_be();
        assert_eq!(check_rsa(&prime, &[1, 0, 1]), Err(PublicKeyError::PrimePower));
    }

    #[test]
    fn the_fingerprint_of_roca() {
        // 65537ᵃ is a power of 65537 modulo everything.
        assert!(has_roca_fingerprint(&BigUint::from(65537_u32).pow(120)));
        assert!(!has_roca_fingerprint(&(BigUint::from(65537_u32).pow(120) + 2_u8)));
    }
}
