//! A fault from JSON, strict about its keys: a misspelt `times` must not make a fault that happens once.

use serde_json::{Map, Value};

use super::fault::Fault;
use super::kind::FaultKind;

impl TryFrom<Map<String, Value>> for Fault {
    type Error = String;

    fn try_from(mut keys: Map<String, Value>) -> Result<Self, Self::Error> {
        let times = take(&mut keys, "times")?;
        let after = take(&mut keys, "after")?;
        let chance: Option<f64> = take(&mut keys, "chance")?;
        let on = take(&mut keys, "on")?;
        if chance.is_some_and(|chance| !(0.0..=1.0).contains(&chance)) {
            return Err("`chance` is a probability from 0 to 1".to_owned());
        }
        let kind: FaultKind =
            serde_json::from_value(Value::Object(keys.clone())).map_err(|error| error.to_string())?;
        let known = serde_json::to_value(&kind).map_err(|error| error.to_string())?;
        if let Some(unknown) = keys.keys().find(|key| known.get(key.as_str()).is_none()) {
            return Err(format!(
                "unknown field `{unknown}`; beside its own a fault has `times`, `after`, `chance`, `on`"
            ));
        }
        let fault = Self::new(kind);
        Ok(Self {
            times: times.unwrap_or(fault.times),
            after: after.unwrap_or(fault.after),
            chance: chance.unwrap_or(fault.chance),
            on,
            ..fault
        })
    }
}

fn take<T: serde::de::DeserializeOwned>(
    keys: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<T>, String> {
    keys.remove(name)
        .map(|value| serde_json::from_value(value).map_err(|error| format!("`{name}`: {error}")))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Fault, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_that_no_fault_has_are_refused() {
        let error = parse(r#"{ "kind": "nan", "time": 3 }"#).expect_err("misspelt");
        assert!(error.contains("`time`") && error.contains("`times`"), "{error}");
        let error = parse(r#"{ "kind": "status", "status": 503, "step": 1 }"#).expect_err("of another kind");
        assert!(error.contains("`step`"), "{error}");
        assert!(parse(r#"{ "kind": "nan", "chance": 2 }"#).is_err());
        assert!(
            parse(r#"{ "kind": "nan", "times": "often" }"#)
                .expect_err("no number")
                .contains("`times`")
        );
    }

    #[test]
    fn a_fault_survives_the_way_through_json() {
        let fault = Fault::out_of_memory(crate::ClearedBy::Unload)
            .times(3)
            .after(1)
            .chance(0.5)
            .on("*");
        let text = serde_json::to_string(&fault).expect("serialises");
        assert_eq!(parse(&text), Ok(fault));
    }
}
