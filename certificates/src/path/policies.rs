//! Certificate policies (RFC 5280, 6.1.2 to 6.1.5), for a user who accepts every policy: a path
//! fails only if one of its issuers requires a policy and no policy is valid for the whole path.
//!
//! For such a user only the lowest level of the RFC's tree is needed (RFC 9618, 5.1): whether a
//! policy is valid depends on the level above only.

use std::collections::{BTreeMap, BTreeSet};

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};

use super::error::PathError;
use crate::asn1::{content, sequence};
use crate::certificate::Certificate;

/// The policies that are valid from the root to the certificate that was added last.
pub(super) struct Policies {
    /// The policies, each with its equivalents one level below.
    level: BTreeMap<ObjectIdentifier, BTreeSet<ObjectIdentifier>>,
    /// The number of further certificates after which a policy is required; `None`: never.
    explicit: Option<u32>,
    /// The number of further certificates after which policies are no longer mapped.
    mapping: Option<u32>,
    /// The number of further certificates after which anyPolicy no longer counts.
    any: Option<u32>,
}

impl Default for Policies {
    fn default() -> Self {
        let level = BTreeMap::from([(ANY_POLICY, BTreeSet::from([ANY_POLICY]))]);
        Self { level, explicit: None, mapping: None, any: None }
    }
}

impl Policies {
    /// 6.1.3 (d) to (f).
    pub(super) fn enter(
        &mut self,
        position: usize,
        certificate: &Certificate,
        is_leaf: bool,
    ) -> Result<(), PathError> {
        let above = std::mem::take(&mut self.level);
        if let Some(policies) = read(position, certificate, CERTIFICATE_POLICIES, certificate_policies)? {
            let expected: BTreeSet<_> = above.values().flatten().copied().collect();
            let is_any_above = above.contains_key(&ANY_POLICY);
            for policy in policies.iter().filter(|policy| **policy != ANY_POLICY) {
                if is_any_above || expected.contains(policy) {
                    self.level.insert(*policy, BTreeSet::from([*policy]));
                }
            }
            let any_counts = self.any != Some(0) || (!is_leaf && certificate.is_self_issued());
            if policies.contains(&ANY_POLICY) && any_counts {
                for policy in expected {
                    self.level.entry(policy).or_insert_with(|| BTreeSet::from([policy]));
                }
            }
        }
        self.check()
    }

    /// 6.1.4 (a), (b), (h) to (j).
    pub(super) fn leave(&mut self, position: usize, certificate: &Certificate) -> Result<(), PathError> {
        if let Some(pairs) = read(position, certificate, POLICY_MAPPINGS, policy_mappings)? {
            let mut mapped: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
            for (from, to) in pairs {
                mapped.entry(from).or_default().insert(to);
            }
            for (from, to) in mapped {
                if self.mapping == Some(0) {
                    self.level.remove(&from);
                } else if self.level.contains_key(&from) || self.level.contains_key(&ANY_POLICY) {
                    self.level.insert(from, to);
                }
            }
        }
        if !certificate.is_self_issued() {
            for counter in [&mut self.explicit, &mut self.mapping, &mut self.any] {
                *counter = counter.map(|left| left.saturating_sub(1));
            }
        }
        self.restrict(position, certificate)?;
        if let Some(skip) = read(position, certificate, INHIBIT_ANY_POLICY, inhibit_any_policy)? {
            lower(&mut self.any, Some(skip));
        }
        Ok(())
    }

    /// 6.1.5 (a), (b), (g): the leaf's own policyConstraints count only if they require a policy at
    /// once.
    pub(super) fn finish(mut self, leaf: &Certificate) -> Result<(), PathError> {
        self.explicit = self.explicit.map(|left| left.saturating_sub(1));
        if let Some(Required { explicit: Some(0), .. }) = read(0, leaf, POLICY_CONSTRAINTS, constraints)? {
            self.explicit = Some(0);
        }
        self.check()
    }

    fn restrict(&mut self, position: usize, certificate: &Certificate) -> Result<(), PathError> {
        if let Some(required) = read(position, certificate, POLICY_CONSTRAINTS, constraints)? {
            lower(&mut self.explicit, required.explicit);
            lower(&mut self.mapping, required.mapping);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), PathError> {
        if self.explicit == Some(0) && self.level.is_empty() { Err(PathError::Policy) } else { Ok(()) }
    }
}

fn lower(counter: &mut Option<u32>, to: Option<u32>) {
    *counter = match (*counter, to) {
        (Some(left), Some(to)) => Some(left.min(to)),
        (one, other) => one.or(other),
    };
}

fn read<'a, T>(
    position: usize,
    certificate: &'a Certificate,
    extension: ObjectIdentifier,
    parse: impl FnOnce(&'a [u8]) -> der::Result<T>,
) -> Result<Option<T>, PathError> {
    let value = certificate.extension(extension).map(parse).transpose();
    value.map_err(|_| PathError::BrokenExtension { position, extension })
}

/// CertificatePolicies (4.2.1.4). The qualifiers that the RFC defines are for people. Others are
/// refused, because their meaning is unknown.
fn certificate_policies(der: &[u8]) -> der::Result<BTreeSet<ObjectIdentifier>> {
    let mut policies = BTreeSet::new();
    let mut all = sequence(der)?;
    while !all.is_finished() {
        let mut information = sequence(all.tlv_bytes()?)?;
        policies.insert(ObjectIdentifier::decode(&mut information)?);
        if information.is_finished() {
            continue;
        }
        let mut qualifiers = sequence(information.tlv_bytes()?)?;
        information.finish()?;
        while !qualifiers.is_finished() {
            let mut qualifier = sequence(qualifiers.tlv_bytes()?)?;
            let kind = ObjectIdentifier::decode(&mut qualifier)?;
            if !QUALIFIERS.contains(&kind) {
                return Err(Tag::ObjectIdentifier.value_error().into());
            }
        }
    }
    if policies.is_empty() { Err(Tag::Sequence.length_error().into()) } else { Ok(policies) }
}

/// PolicyMappings (4.2.1.5). None of them may contain anyPolicy (6.1.4 (a)).
fn policy_mappings(der: &[u8]) -> der::Result<Vec<(ObjectIdentifier, ObjectIdentifier)>> {
    let mut pairs = Vec::new();
    let mut all = sequence(der)?;
    while !all.is_finished() {
        let mut pair = sequence(all.tlv_bytes()?)?;
        let (from, to) = (ObjectIdentifier::decode(&mut pair)?, ObjectIdentifier::decode(&mut pair)?);
        pair.finish()?;
        if from == ANY_POLICY || to == ANY_POLICY {
            return Err(Tag::ObjectIdentifier.value_error().into());
        }
        pairs.push((from, to));
    }
    Ok(pairs)
}

struct Required {
    explicit: Option<u32>,
    mapping: Option<u32>,
}

/// PolicyConstraints (4.2.1.11).
fn constraints(der: &[u8]) -> der::Result<Required> {
    let mut fields: SliceReader<'_> = sequence(der)?;
    let mut required = Required { explicit: None, mapping: None };
    while !fields.is_finished() {
        let field = AnyRef::decode(&mut fields)?;
        let place = match field.tag() {
            Tag::ContextSpecific { constructed: false, number: TagNumber(0) } => &mut required.explicit,
            Tag::ContextSpecific { constructed: false, number: TagNumber(1) } => &mut required.mapping,
            tag => return Err(tag.value_error().into()),
        };
        *place = Some(skipped(field.value())?);
    }
    Ok(required)
}

/// InhibitAnyPolicy (4.2.1.14).
fn inhibit_any_policy(der: &[u8]) -> der::Result<u32> {
    skipped(content(der, Tag::Integer)?)
}

/// SkipCerts ::= INTEGER (0..MAX), without tag and length. A path is never so long that the exact
/// value of a large number matters.
fn skipped(content: &[u8]) -> der::Result<u32> {
    match content {
        [] => Err(Tag::Integer.length_error().into()),
        [first, ..] if *first >= 0x80 => Err(Tag::Integer.value_error().into()),
        octets => Ok(octets
            .iter()
            .fold(0_u32, |number, octet| number.saturating_mul(256).saturating_add((*octet).into()))),
    }
}

/// id-ce-certificatePolicies
pub(super) const CERTIFICATE_POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32");
/// id-ce-policyMappings
pub(super) const POLICY_MAPPINGS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.33");
/// id-ce-policyConstraints
pub(super) const POLICY_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.36");
/// id-ce-inhibitAnyPolicy
pub(super) const INHIBIT_ANY_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.54");
const ANY_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32.0");

/// id-qt-cps, id-qt-unotice
const QUALIFIERS: [ObjectIdentifier; 2] =
    [ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.2.1"), ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.2.2")];
