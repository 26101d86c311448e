//! The JSON Schema of a router: a `oneOf` of its handlers' schemas, each with the handler's name added.

use serde_json::{Map, Value, json};

use super::envelope::NESTED;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of all routes. A handler without a schema accepts anything beside its name.
pub(super) fn of_routes(
    key: &str,
    nested: bool,
    default: Option<&str>,
    routes: &[(String, Option<Value>)],
) -> Value {
    let mut definitions = Map::new();
    let mut choices = Vec::new();
    for (name, schema) in routes {
        let own = schema
            .clone()
            .map(|schema| hoisted(schema, name, &mut definitions));
        choices.push(named(key, name, nested, own.clone()));
        if default == Some(name.as_str()) {
            choices.push(unnamed(key, name, own));
        }
    }
    let mut whole = json!({ "$schema": DIALECT, "oneOf": choices });
    if !definitions.is_empty() {
        whole["$defs"] = definitions.into();
    }
    whole
}

/// The schema of an input that names its handler.
fn named(key: &str, name: &str, nested: bool, own: Option<Value>) -> Value {
    let mut schema = if nested {
        let mut properties = Map::new();
        properties.insert(NESTED.to_owned(), own.unwrap_or(Value::Bool(true)));
        json!({ "properties": properties, "required": [NESTED] })
    } else {
        own.unwrap_or_else(|| json!({}))
    };
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".to_owned(), name.into());
    }
    with_name(&mut schema, key, name);
    schema
}

/// The schema of an input without a name, for the default route.
fn unnamed(key: &str, name: &str, own: Option<Value>) -> Value {
    let title = format!("{name} (default)");
    let without = json!({ "required": [key] });
    match own {
        Some(own) => json!({ "title": title, "allOf": [own], "not": without }),
        None => json!({ "title": title, "not": without }),
    }
}

/// Adds the name as a constant property, to each alternative if there are several.
fn with_name(schema: &mut Value, key: &str, name: &str) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    for word in ["oneOf", "anyOf"] {
        if let Some(Value::Array(choices)) = object.get_mut(word) {
            for choice in choices {
                with_name(choice, key, name);
            }
            return;
        }
    }
    object.insert("type".to_owned(), "object".into());
    if let Some(properties) = object
        .entry("properties")
        .or_insert_with(|| json!({}))
        .as_object_mut()
    {
        properties.insert(key.to_owned(), json!({ "const": name }));
    }
    if let Some(required) = object
        .entry("required")
        .or_insert_with(|| json!([]))
        .as_array_mut()
    {
        required.insert(0, key.into());
    }
}

/// Moves a schema's definitions into those of the whole. A definition that differs from one with the same name gets
/// the route's name as prefix.
fn hoisted(mut schema: Value, route: &str, whole: &mut Map<String, Value>) -> Value {
    let Some(object) = schema.as_object_mut() else {
        return schema;
    };
    object.remove("$schema");
    let Some(Value::Object(own)) = object.remove("$defs") else {
        return schema;
    };
    let renamed: Vec<(String, String)> = own
        .iter()
        .filter(|(name, definition)| whole.get(*name).is_some_and(|known| known != *definition))
        .map(|(name, _)| (name.clone(), format!("{route}.{name}")))
        .collect();
    let new_name = |name: &str| {
        let new = renamed.iter().find(|(old, _)| old == name);
        new.map_or_else(|| name.to_owned(), |(_, new)| new.clone())
    };
    for (name, mut definition) in own {
        point_to(&mut definition, &new_name);
        whole.insert(new_name(&name), definition);
    }
    point_to(&mut schema, &new_name);
    schema
}

/// Updates every reference to a renamed definition.
fn point_to(schema: &mut Value, new_name: &dyn Fn(&str) -> String) {
    match schema {
        Value::Object(object) => {
            for (word, value) in object {
                match value.as_str().and_then(|text| text.strip_prefix("#/$defs/")) {
                    Some(name) if word == "$ref" => *value = format!("#/$defs/{}", new_name(name)).into(),
                    _ => point_to(value, new_name),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| point_to(value, new_name)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt() -> Value {
        json!({
            "$schema": DIALECT,
            "title": "Prompt",
            "type": "object",
            "properties": { "prompt": { "type": "string" }, "size": { "$ref": "#/$defs/Size" } },
            "required": ["prompt"],
            "$defs": { "Size": { "type": "integer" } },
        })
    }

    #[test]
    fn each_route_is_a_choice_with_its_name_as_a_constant() {
        let routes = [("paint".to_owned(), Some(prompt())), ("echo".to_owned(), None)];
        insta::assert_json_snapshot!(of_routes("task", false, Some("paint"), &routes));
    }

    #[test]
    fn a_nested_input_keeps_its_own_schema() {
        let routes = [("double".to_owned(), Some(json!({ "type": "integer" })))];
        insta::assert_json_snapshot!(of_routes("task", true, None, &routes));
    }

    #[test]
    fn equal_definitions_are_shared_and_different_ones_are_kept_apart() {
        let mut other = prompt();
        other["$defs"]["Size"] = json!({ "type": "string" });
        let routes = ["a", "b", "c"].map(str::to_owned).into_iter();
        let routes: Vec<_> = routes
            .zip([Some(prompt()), Some(prompt()), Some(other)])
            .collect();
        let schema = of_routes("task", false, None, &routes);
        assert_eq!(schema["$defs"]["Size"]["type"], "integer");
        assert_eq!(schema["$defs"]["c.Size"]["type"], "string");
        assert_eq!(schema["oneOf"][1]["properties"]["size"]["$ref"], "#/$defs/Size");
        assert_eq!(schema["oneOf"][2]["properties"]["size"]["$ref"], "#/$defs/c.Size");
    }

    #[test]
    fn the_name_goes_into_each_alternative() {
        let shapes = json!({ "oneOf": [
            { "type": "object", "properties": { "round": {} }, "additionalProperties": false },
            { "type": "object", "properties": { "square": {} }, "additionalProperties": false },
        ]});
        let schema = of_routes("task", false, None, &[("draw".to_owned(), Some(shapes))]);
        for choice in schema["oneOf"][0]["oneOf"].as_array().unwrap() {
            assert_eq!(choice["properties"]["task"]["const"], "draw");
        }
    }
}
