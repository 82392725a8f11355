//! Lists with a minimum and a maximum number of items.

use alloc::{format, vec, vec::Vec};
use core::{fmt, marker::PhantomData, ops::Deref, slice};

use serde_core::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, SeqAccess, Visitor},
};

use crate::integer::Integer;

/// A list of `MIN` to `MAX` items (JSON Schema's `minItems` and `maxItems`).
///
/// An optional list is `Option<BoundedVec<…>>`: an absent list is `None`, and an empty one is
/// refused if `MIN` is 1.
///
/// ```
/// use ocpp_types::BoundedVec;
///
/// let two = BoundedVec::<i64, 1, 4>::try_from(vec![7, 8])?;
/// assert_eq!(two.iter().sum::<i64>(), 15);
/// assert!(BoundedVec::<i64, 1, 4>::try_from(vec![]).is_err());
/// # Ok::<(), ocpp_types::WrongCount>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BoundedVec<T, const MIN: usize, const MAX: usize>(Vec<T>);

/// A list of one or more items.
pub type NonEmptyVec<T> = BoundedVec<T, 1, { usize::MAX }>;

impl<T, const MIN: usize, const MAX: usize> BoundedVec<T, MIN, MAX> {
    /// Returns the items without a copy.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }

    /// The items.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }
}

impl<T, const MIN: usize, const MAX: usize> TryFrom<Vec<T>> for BoundedVec<T, MIN, MAX> {
    type Error = WrongCount;

    fn try_from(items: Vec<T>) -> Result<Self, WrongCount> {
        if (MIN..=MAX).contains(&items.len()) {
            Ok(Self(items))
        } else {
            Err(WrongCount { count: items.len(), min: MIN, max: MAX })
        }
    }
}

impl<T, const MIN: usize, const MAX: usize> From<BoundedVec<T, MIN, MAX>> for Vec<T> {
    fn from(items: BoundedVec<T, MIN, MAX>) -> Self {
        items.0
    }
}

impl<const MIN: usize, const MAX: usize> From<BoundedVec<Integer, MIN, MAX>> for BoundedVec<i64, MIN, MAX> {
    fn from(items: BoundedVec<Integer, MIN, MAX>) -> Self {
        Self(items.0.into_iter().map(i64::from).collect())
    }
}

impl<T, const MIN: usize, const MAX: usize> Deref for BoundedVec<T, MIN, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const MIN: usize, const MAX: usize> AsRef<[T]> for BoundedVec<T, MIN, MAX> {
    fn as_ref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const MIN: usize, const MAX: usize> IntoIterator for BoundedVec<T, MIN, MAX> {
    type Item = T;
    type IntoIter = vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T, const MIN: usize, const MAX: usize> IntoIterator for &'a BoundedVec<T, MIN, MAX> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: fmt::Debug, const MIN: usize, const MAX: usize> fmt::Debug for BoundedVec<T, MIN, MAX> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl<T: Serialize, const MIN: usize, const MAX: usize> Serialize for BoundedVec<T, MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>, const MIN: usize, const MAX: usize> Deserialize<'de>
    for BoundedVec<T, MIN, MAX>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ItemsVisitor(PhantomData))
    }
}

struct ItemsVisitor<T, const MIN: usize, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MIN: usize, const MAX: usize> Visitor<'de>
    for ItemsVisitor<T, MIN, MAX>
{
    type Value = BoundedVec<T, MIN, MAX>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match MAX {
            usize::MAX => write!(formatter, "an array of {MIN} or more items"),
            max => write!(formatter, "an array of {MIN} to {max} items"),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::with_capacity(items.size_hint().unwrap_or(0).min(MAX).min(RESERVED_ITEMS));
        while let Some(item) = items.next_element()? {
            if list.len() == MAX {
                let expected = format!("at most {MAX}");
                return Err(A::Error::invalid_length(MAX.saturating_add(1), &expected.as_str()));
            }
            list.push(item);
        }
        if list.len() < MIN {
            return Err(A::Error::invalid_length(list.len(), &format!("at least {MIN}").as_str()));
        }
        Ok(BoundedVec(list))
    }
}

/// The maximum number of items for which memory is reserved in advance, whatever a peer announces.
const RESERVED_ITEMS: usize = 64;

/// A list with fewer or more items than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongCount {
    count: usize,
    min: usize,
    max: usize,
}

impl WrongCount {
    /// The number of items of the list.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }
}

impl fmt::Display for WrongCount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max {
            usize::MAX => write!(formatter, "{} items, at least {} are needed", self.count, self.min),
            max => write!(formatter, "{} items, {} to {max} are allowed", self.count, self.min),
        }
    }
}

impl core::error::Error for WrongCount {}
