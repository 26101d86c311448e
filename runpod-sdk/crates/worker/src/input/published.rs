//! The JSON Schema of an input type: the one that is published, and the one that inputs are checked against.

use runpod_protocol::sync::Mutex;
use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

static MADE: LazyLock<Mutex<HashMap<TypeId, Arc<Value>>>> = LazyLock::new(Mutex::default);

/// The schema of `T` for inputs. Structs accept only their own fields unless they say otherwise, as in the check.
pub(super) fn schema_of<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    close(&mut schema);
    schema
}

/// The schema of `T`, generated once per type and shared.
pub(super) fn shared<T: JsonSchema + 'static>() -> Arc<Value> {
    let mut made = MADE.lock();
    let schema = made
        .entry(TypeId::of::<T>())
        .or_insert_with(|| Arc::new(schema_of::<T>()));
    schema.clone()
}

/// Adds `additionalProperties: false` to each object schema that lists all its fields.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            // These keywords may allow fields beside those in `properties`.
            let open = [
                "allOf",
                "anyOf",
                "oneOf",
                "$ref",
                "additionalProperties",
                "unevaluatedProperties",
                "patternProperties",
            ]
            .iter()
            .any(|word| object.contains_key(*word));
            for (word, inner) in object.iter_mut() {
                match (word.as_str(), inner) {
                    // The keys are names of fields and types, not keywords.
                    ("properties" | "$defs", Value::Object(named)) => named.values_mut().for_each(close),
                    // Examples and values are data, not schemas.
                    ("const" | "enum" | "default" | "examples", _) => {}
                    (_, inner) => close(inner),
                }
            }
            if object.get("properties").is_some_and(Value::is_object) && !open {
                object.insert("additionalProperties".to_owned(), false.into());
            }
        }
        Value::Array(list) => list.iter_mut().for_each(close),
        _ => {}
    }
}
