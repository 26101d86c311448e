//! A job's history as JSON. Payloads are written as they were received.

use bytes::Bytes;
use serde::Serialize;

use crate::record::{Item, What};

/// A JSON list.
pub(super) fn list(items: &[Item]) -> String {
    let mut json = String::from("[");
    for item in items {
        if json.len() > 1 {
            json.push(',');
        }
        write(&mut json, item);
    }
    json.push(']');
    json
}

fn write(json: &mut String, item: &Item) {
    json.push_str("{\"at\":");
    json.push_str(&item.at.as_millis().to_string());
    let mut object = Object(json);
    match &item.what {
        What::Submitted {
            input,
            webhook,
            policy,
        } => {
            object.kind("submitted").raw("input", Some(input));
            object
                .text("webhook", webhook.as_deref())
                .raw("policy", policy.as_ref());
        }
        What::Taken { worker } => {
            object.kind("taken").text("worker", Some(worker));
        }
        What::TakenAgain { worker } => {
            object.kind("taken-again").text("worker", Some(worker));
        }
        What::Returned => {
            object.kind("returned");
        }
        What::Progress(update) => {
            object.kind("progress").raw("output", Some(update));
        }
        What::Chunk(chunk) => {
            object.kind("chunk").raw("output", Some(chunk));
        }
        What::WorkerLost => {
            object.kind("lost");
        }
        What::Retried => {
            object.kind("retried");
        }
        What::Ended {
            status,
            output,
            error,
        } => {
            object.kind("ended").text("status", Some(status.as_str()));
            object.raw("output", output.as_ref()).raw("error", error.as_ref());
        }
        What::Log {
            worker,
            level,
            message,
        } => {
            object.kind("log").text("worker", Some(worker));
            object.text("level", Some(level)).text("message", Some(message));
        }
        What::Points(points) => {
            object.kind("points").value("points", points);
        }
        What::Violation(kind) => {
            object.kind("violation").text("message", Some(kind));
        }
    }
    json.push('}');
}

/// The inside of an object that has a first key already.
struct Object<'a>(&'a mut String);

impl Object<'_> {
    fn kind(&mut self, kind: &str) -> &mut Self {
        self.text("kind", Some(kind))
    }

    fn text(&mut self, key: &str, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.value(key, &text),
            None => self,
        }
    }

    fn value(&mut self, key: &str, value: &impl Serialize) -> &mut Self {
        // Texts and numbers always serialise.
        let value = serde_json::to_string(value).unwrap_or_default();
        self.key(key).0.push_str(&value);
        self
    }

    fn raw(&mut self, key: &str, value: Option<&Bytes>) -> &mut Self {
        if let Some(value) = value {
            self.key(key).0.push_str(&String::from_utf8_lossy(value));
        }
        self
    }

    fn key(&mut self, key: &str) -> &mut Self {
        self.0.push_str(",\"");
        self.0.push_str(key);
        self.0.push_str("\":");
        self
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use runpod_protocol::JobStatus;

    use super::*;

    #[test]
    fn a_history_is_json_with_its_payloads_untouched() {
        let whats = [
            What::Submitted {
                input: "{\"a\" :1.0e2}".into(),
                webhook: Some("http://x/\"".to_owned()),
                policy: None,
            },
            What::Taken {
                worker: "w\"1".to_owned(),
            },
            What::Log {
                worker: "w".to_owned(),
                level: "INFO".to_owned(),
                message: "</script>\u{7}".to_owned(),
            },
            What::Points(vec![("sent".to_owned(), 1.5)]),
            What::Ended {
                status: JobStatus::Failed,
                output: None,
                error: Some("\"it broke\"".into()),
            },
        ];
        let items: Vec<Item> = whats
            .map(|what| Item {
                at: Duration::from_millis(7),
                what,
            })
            .into();
        let json = list(&items);
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
        insta::assert_snapshot!(json.replace("},{", "},\n{"), @r#"
        [{"at":7,"kind":"submitted","input":{"a" :1.0e2},"webhook":"http://x/\""},
        {"at":7,"kind":"taken","worker":"w\"1"},
        {"at":7,"kind":"log","worker":"w","level":"INFO","message":"</script>\u0007"},
        {"at":7,"kind":"points","points":[["sent",1.5]]},
        {"at":7,"kind":"ended","status":"FAILED","error":"it broke"}]
        "#);
    }
}
