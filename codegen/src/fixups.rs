//! Corrections to the schemas, by name.
//!
//! The files under `schemas/` contain the facts of the official ones. If an official file is wrong,
//! the correction is code: it looks for the fault, fixes the model, and fails once the fault is no
//! longer there, so that no correction outlives its reason. The official schemas of OCPP 2.0.1 need
//! none.

use crate::document::Document;

/// One correction.
#[derive(Debug)]
pub struct Fixup {
    /// The fault that it fixes, with the erratum that describes the fault.
    pub name: &'static str,
    /// Fixes the documents of one edition, and returns whether the fault was there.
    pub apply: fn(&mut [Document]) -> Applied,
}

/// Whether a fix-up has found its fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The fault was there, and is fixed.
    Yes,
    /// The fault is gone.
    NoLongerNeeded,
}

/// A fix-up that no longer applies.
#[derive(Debug, thiserror::Error)]
#[error(
    "fix-up \"{name}\" no longer applies: the schemas have changed; remove it from its edition or adapt it"
)]
pub struct FixupError {
    /// Its name.
    pub name: &'static str,
}

/// Applies `fixups` in order.
///
/// # Errors
/// [`FixupError`] for the first one that does not find its fault.
pub fn apply(fixups: &[Fixup], documents: &mut [Document]) -> Result<(), FixupError> {
    for fixup in fixups {
        if (fixup.apply)(documents) == Applied::NoLongerNeeded {
            return Err(FixupError { name: fixup.name });
        }
    }
    Ok(())
}
