//! The member `customData`, which every object of OCPP 2.x may have.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::{
    fmt,
    ops::{Deref, DerefMut},
};

use serde_core::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
    ser::SerializeMap as _,
};

use crate::{BoundedString, Map, value::Value};

/// Data of a vendor: the name of the vendor, and all other members, complete and in order.
///
/// ```
/// use ocpp_types::{CustomData, Value};
///
/// let text = r#"{"vendorId":"org.example","slot":{"b":1,"a":[null]}}"#;
/// let data: CustomData = ocpp_types::decode(text)?;
/// assert_eq!(data.vendor_id.as_str(), "org.example");
/// assert!(matches!(data.extra.get("slot"), Some(Value::Object(_))));
/// assert_eq!(ocpp_types::encode(&data).unwrap(), text);
/// # Ok::<(), ocpp_types::DecodeError>(())
/// ```
///
/// The members are behind a pointer, because nearly every object has the field and it is nearly
/// always empty.
#[derive(Clone, PartialEq, Eq, Hash)]
#[doc(alias = "CustomDataType")]
pub struct CustomData(Box<CustomDataMembers>);

/// The members of [`CustomData`], which dereferences to this type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CustomDataMembers {
    /// `vendorId`, required: a string of at most 255 characters, by convention a reversed domain
    /// name.
    pub vendor_id: BoundedString<255>,
    /// All other members.
    pub extra: Map,
}

impl CustomData {
    /// Custom data with the vendor's name only.
    #[must_use]
    pub fn new(vendor_id: BoundedString<255>) -> Self {
        Self::with_extra(vendor_id, Map::new())
    }

    fn with_extra(vendor_id: BoundedString<255>, extra: Map) -> Self {
        Self(Box::new(CustomDataMembers { vendor_id, extra }))
    }
}

impl Deref for CustomData {
    type Target = CustomDataMembers;

    fn deref(&self) -> &CustomDataMembers {
        &self.0
    }
}

impl DerefMut for CustomData {
    fn deref_mut(&mut self) -> &mut CustomDataMembers {
        &mut self.0
    }
}

impl fmt::Debug for CustomData {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CustomDataMembers { vendor_id, extra } = &**self;
        formatter.debug_struct("CustomData").field("vendor_id", vendor_id).field("extra", extra).finish()
    }
}

impl Serialize for CustomData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A member with this name in `extra` would make the frame invalid, so the typed one is
        // used.
        let extra = || self.extra.iter().filter(|(name, _)| *name != VENDOR_ID);
        let mut map = serializer.serialize_map(Some(1 + extra().count()))?;
        map.serialize_entry(VENDOR_ID, &self.vendor_id)?;
        for (name, value) in extra() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for CustomData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(CustomDataVisitor)
    }
}

struct CustomDataVisitor;

impl<'de> Visitor<'de> for CustomDataVisitor {
    type Value = CustomData;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object, CustomDataType")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<CustomData, A::Error> {
        let mut vendor_id = None;
        let mut extra: Vec<(String, Value)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == VENDOR_ID {
                if vendor_id.is_some() {
                    return Err(A::Error::duplicate_field(VENDOR_ID));
                }
                vendor_id = Some(map.next_value()?);
            } else {
                extra.push((name, map.next_value()?));
            }
        }
        let vendor_id = vendor_id.ok_or_else(|| A::Error::missing_field(VENDOR_ID))?;
        Ok(CustomData::with_extra(vendor_id, Map::from_members(extra)?))
    }
}

const VENDOR_ID: &str = "vendorId";
