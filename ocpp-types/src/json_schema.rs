//! The JSON schema of each type.
//!
//! schemars' derive would describe Rust's type of a field, such as an integer of 64 bits. These
//! functions describe the rule that the type enforces, and a test compares it with the schema from
//! which the type was generated.

use alloc::{borrow::ToOwned as _, boxed::Box, string::String};

use schemars::{
    JsonSchema,
    r#gen::SchemaGenerator,
    schema::{
        ArrayValidation, InstanceType, NumberValidation, ObjectValidation, Schema, SchemaObject, SingleOrVec,
        StringValidation,
    },
};

use crate::{
    BoundedInteger, BoundedNumber, BoundedString, BoundedVec, CustomData, Digits, Integer, Iso8601, Number,
    Tenths, Timestamp, Uri, Value,
};

/// The schema of a struct under construction.
pub(crate) struct ObjectSchema<'a> {
    generator: &'a mut SchemaGenerator,
    object: ObjectValidation,
}

impl<'a> ObjectSchema<'a> {
    /// The schema of an object without other members than the added ones.
    pub(crate) fn closed(generator: &'a mut SchemaGenerator) -> Self {
        let additional_properties = Some(Box::new(Schema::Bool(false)));
        Self { generator, object: ObjectValidation { additional_properties, ..ObjectValidation::default() } }
    }

    /// Adds a required member with the type of the field.
    pub(crate) fn required<O, T: JsonSchema>(&mut self, name: &str, _: fn(&O) -> &T) {
        self.required_as::<T>(name);
    }

    /// Adds an optional member with the type inside the field's `Option`.
    pub(crate) fn optional<O, T: JsonSchema>(&mut self, name: &str, _: fn(&O) -> &Option<T>) {
        self.optional_as::<T>(name);
    }

    /// Adds a required member with another type than the field.
    pub(crate) fn required_as<T: JsonSchema>(&mut self, name: &str) {
        self.object.required.insert(name.to_owned());
        self.optional_as::<T>(name);
    }

    /// Adds an optional member with another type than the field.
    pub(crate) fn optional_as<T: JsonSchema>(&mut self, name: &str) {
        let schema = self.generator.subschema_for::<T>();
        self.object.properties.insert(name.to_owned(), schema);
    }

    pub(crate) fn finish(self) -> Schema {
        Schema::Object(SchemaObject { object: Some(Box::new(self.object)), ..of(InstanceType::Object) })
    }
}

/// The schema of an enumeration.
pub(crate) fn enumeration(values: &[&str]) -> Schema {
    let values = values.iter().map(|value| serde_json::Value::from(*value)).collect();
    Schema::Object(SchemaObject { enum_values: Some(values), ..of(InstanceType::String) })
}

fn of(kind: InstanceType) -> SchemaObject {
    SchemaObject { instance_type: Some(SingleOrVec::from(kind)), ..SchemaObject::default() }
}

/// Implements `JsonSchema` for types whose schema is written inline.
macro_rules! in_place {
    ($([$($generics:tt)*] $type:ty, $name:literal => |$generator:ident| $schema:expr;)*) => {
        $(impl<$($generics)*> JsonSchema for $type {
            fn is_referenceable() -> bool {
                false
            }

            fn schema_name() -> String {
                String::from($name)
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                Schema::Object($schema)
            }
        })*
    };
}

in_place! {
    [const MAX: usize] BoundedString<MAX>, "BoundedString" => |_generator| {
        let string = StringValidation { max_length: u32::try_from(MAX).ok(), ..StringValidation::default() };
        SchemaObject { string: Some(Box::new(string)), ..of(InstanceType::String) }
    };
    [T: JsonSchema, const MIN: usize, const MAX: usize] BoundedVec<T, MIN, MAX>, "BoundedVec" => |generator| {
        let array = ArrayValidation {
            items: Some(SingleOrVec::from(generator.subschema_for::<T>())),
            min_items: u32::try_from(MIN).ok().filter(|min| *min > 0),
            max_items: u32::try_from(MAX).ok(),
            ..ArrayValidation::default()
        };
        SchemaObject { array: Some(Box::new(array)), ..of(InstanceType::Array) }
    };
    [const MIN: i64, const MAX: i64] BoundedInteger<MIN, MAX>, "BoundedInteger" => |_generator| {
        SchemaObject { number: range(MIN, MAX), ..of(InstanceType::Integer) }
    };
    [const MIN: i64, const MAX: i64] BoundedNumber<MIN, MAX>, "BoundedNumber" => |_generator| {
        SchemaObject { number: range(MIN, MAX), ..of(InstanceType::Number) }
    };
    [] Tenths, "Tenths" => |_generator| {
        let number = NumberValidation { multiple_of: Some(0.1), ..NumberValidation::default() };
        SchemaObject { number: Some(Box::new(number)), ..of(InstanceType::Number) }
    };
    [] Number, "Number" => |_generator| of(InstanceType::Number);
    [] Integer, "Integer" => |_generator| of(InstanceType::Integer);
    [] Digits, "Digits" => |_generator| of(InstanceType::Integer);
    [] Timestamp, "Timestamp" => |_generator| {
        SchemaObject { format: Some("date-time".to_owned()), ..of(InstanceType::String) }
    };
    [] Iso8601, "Timestamp" => |_generator| {
        SchemaObject { format: Some("date-time".to_owned()), ..of(InstanceType::String) }
    };
    [] Uri, "Uri" => |_generator| {
        SchemaObject { format: Some("uri".to_owned()), ..of(InstanceType::String) }
    };
    [] Value, "Value" => |_generator| SchemaObject::default();
}

#[allow(clippy::cast_precision_loss, reason = "no bound of OCPP is beyond 2^53")]
fn range(min: i64, max: i64) -> Option<Box<NumberValidation>> {
    Some(Box::new(NumberValidation {
        minimum: (min != i64::MIN).then_some(min as f64),
        maximum: (max != i64::MAX).then_some(max as f64),
        ..NumberValidation::default()
    }))
}

impl JsonSchema for CustomData {
    fn schema_name() -> String {
        String::from("CustomDataType")
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = ObjectSchema { generator, object: ObjectValidation::default() };
        schema.required("vendorId", |data: &Self| &data.vendor_id);
        schema.finish()
    }
}
