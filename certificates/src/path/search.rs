//! The search for a path, from the leaf upwards: by names, then by keys.

use super::error::PathError;
use super::purpose::{Purpose, Window};
use super::steps::Steps;
use super::validation::{check_leaf, validate};
use super::{MAX_SUB_CAS, Path};
use crate::certificate::Certificate;
use crate::signature;

/// Finds a path from `leaf` to one of `roots` that is valid in `window` and for `purpose`.
/// `intermediates` may be in any order, and may contain certificates that are not needed.
///
/// # Errors
/// [`PathError`]. If several paths end at a root and none is valid, it is about the first one.
pub fn verify<'a>(
    leaf: &'a Certificate,
    intermediates: &'a [Certificate],
    roots: &'a [Certificate],
    window: Window,
    purpose: Purpose,
) -> Result<Path<'a>, PathError> {
    check_leaf(leaf, window, purpose)?;
    let mut search = Search {
        intermediates,
        roots,
        window,
        purpose,
        steps: Steps::default(),
        path: vec![leaf],
        best: None,
    };
    match search.climb(leaf)? {
        Some(root) => Ok(Path { certificates: search.path, root }),
        None => Err(search.best.unwrap_or(PathError::UnknownIssuer)),
    }
}

struct Search<'a> {
    intermediates: &'a [Certificate],
    roots: &'a [Certificate],
    window: Window,
    purpose: Purpose,
    steps: Steps,
    /// Leaf first.
    path: Vec<&'a Certificate>,
    /// The most informative error so far.
    best: Option<PathError>,
}

impl<'a> Search<'a> {
    /// Looks for issuers of `last`, the end of the path. Returns the root of a valid path.
    fn climb(&mut self, last: &'a Certificate) -> Result<Option<&'a Certificate>, PathError> {
        let position = self.path.len() - 1;
        for root in self.roots.iter().filter(|root| root.subject() == last.issuer()) {
            if !self.signed(position, last, root)? {
                continue;
            }
            match validate(&self.path, root, self.window, self.purpose, &mut self.steps) {
                Ok(()) => return Ok(Some(root)),
                Err(PathError::TooExpensive) => return Err(PathError::TooExpensive),
                // A wrong signature may only mean that another certificate is the issuer.
                Err(error) => match self.best {
                    None | Some(PathError::Signature { .. }) => self.best = Some(error),
                    Some(_) => {}
                },
            }
        }
        if self.path.len() > MAX_SUB_CAS {
            return Ok(None);
        }
        for issuer in self.intermediates.iter().filter(|issuer| issuer.subject() == last.issuer()) {
            // RFC 5280, 6.1: no certificate occurs twice, and no name occurs twice with the same
            // key.
            let is_loop =
                self.path.iter().any(|one| one.subject() == issuer.subject() && one.spki() == issuer.spki());
            if is_loop || !self.signed(position, last, issuer)? {
                continue;
            }
            self.path.push(issuer);
            if let Some(root) = self.climb(issuer)? {
                return Ok(Some(root));
            }
            self.path.pop();
        }
        Ok(None)
    }

    fn signed(
        &mut self,
        position: usize,
        below: &Certificate,
        issuer: &Certificate,
    ) -> Result<bool, PathError> {
        self.steps.take(STEPS_PER_SIGNATURE)?;
        match signature::verify(below, issuer.spki()) {
            Ok(()) => Ok(true),
            Err(source) => {
                self.best.get_or_insert(PathError::Signature { position, source });
                Ok(false)
            }
        }
    }
}

/// The verification of a signature takes as long as this many comparisons, so at most 100
/// signatures are verified.
const STEPS_PER_SIGNATURE: usize = 1_000;
