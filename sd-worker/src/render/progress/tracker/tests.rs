//! The updates that clients see.

use runpod_sdk::json::RawJson;
use serde_json::{Value, json};

use super::*;
use crate::webui::Call;

fn tracker(body: &'static str) -> Tracker {
    part_of(body, JobPart::WHOLE)
}

fn part_of(body: &'static str, part: JobPart) -> Tracker {
    Tracker::new(Workload::of(&Call::txt2img(RawJson::parse(body).unwrap())), part)
}

/// What a client sees, one entry for each answer of the WebUI.
fn updates_of(body: &'static str, answers: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let mut tracker = tracker(body);
    answers
        .into_iter()
        .map(|answer| {
            let seen = serde_json::from_value(answer).unwrap();
            serde_json::to_value(tracker.next(&seen, None, None)).unwrap()
        })
        .collect()
}

fn answer(progress: f64, job_count: i64, job_no: i64, step: i64) -> Value {
    json!({
        "progress": progress, "eta_relative": 3.12, "textinfo": null,
        "state": {
            "job": "x", "job_count": job_count, "job_no": job_no,
            "sampling_step": step, "sampling_steps": 25,
        },
    })
}

#[test]
fn a_render_is_prepared_sampled_and_finished() {
    assert_eq!(
        updates_of(
            "{}",
            [
                answer(0.01, -1, 0, 0),
                answer(0.41, 1, 0, 10),
                answer(0.985, 1, 0, 24),
                answer(1.0, 1, 1, 0),
            ]
        ),
        [
            json!({ "phase": "preparing", "percent": 1, "image": 1, "images": 1 }),
            json!({ "phase": "sampling", "percent": 41, "step": 10, "steps": 25, "image": 1, "images": 1, "eta_s": 3.1 }),
            json!({ "phase": "finishing", "percent": 98, "step": 24, "steps": 25, "image": 1, "images": 1, "eta_s": 3.1 }),
            json!({ "phase": "finishing", "percent": 99, "image": 1, "images": 1 }),
        ]
    );
}

#[test]
fn the_end_is_100_once_all_pictures_are_there() {
    assert_eq!(
        serde_json::to_value(tracker(r#"{"n_iter": 2, "batch_size": 2}"#).done()).unwrap(),
        json!({ "phase": "done", "percent": 100, "image": 4, "images": 4 })
    );
}

#[test]
fn it_never_goes_back_and_never_says_100_while_it_renders() {
    let percents: Vec<Value> = updates_of(
        r#"{"n_iter": 2}"#,
        [answer(0.5, 2, 0, 20), answer(0.3, 2, 1, 1), answer(1.2, 2, 1, 25)],
    )
    .into_iter()
    .map(|update| update["percent"].clone())
    .collect();
    assert_eq!(percents, [50, 50, 99]);
}

#[test]
fn pictures_are_counted_batch_by_batch() {
    let updates = updates_of(
        r#"{"n_iter": 3, "batch_size": 2}"#,
        [answer(0.1, 3, 0, 5), answer(0.4, 3, 1, 5), answer(0.99, 3, 3, 0)],
    );
    let images: Vec<_> = updates
        .iter()
        .map(|update| (&update["image"], &update["images"]))
        .collect();
    assert_eq!(
        images,
        [
            (&json!(1), &json!(6)),
            (&json!(3), &json!(6)),
            (&json!(5), &json!(6))
        ]
    );
}

#[test]
fn parts_of_a_job_are_reported_as_one() {
    let updates = |number| {
        let mut tracker = part_of(r#"{"batch_size": 2}"#, JobPart::new(number, 3));
        let updates = [
            answer(0.01, -1, 0, 0),
            answer(0.41, 1, 0, 10),
            answer(0.985, 1, 0, 24),
        ]
        .map(|answer| {
            let update = tracker.next(&serde_json::from_value(answer).unwrap(), None, None);
            let update = serde_json::to_value(update).unwrap();
            json!([
                update["phase"],
                update["percent"],
                update["image"],
                update["images"]
            ])
        });
        (updates, serde_json::to_value(tracker.done()).unwrap())
    };
    let (first, _) = updates(0);
    let (second, done) = updates(1);
    assert_eq!(
        first,
        [
            json!(["preparing", 0, 1, 6]),
            json!(["sampling", 13, 1, 6]),
            json!(["finishing", 32, 1, 6])
        ]
    );
    assert_eq!(
        second,
        [
            json!(["preparing", 33, 3, 6]),
            json!(["sampling", 47, 3, 6]),
            json!(["finishing", 66, 3, 6])
        ]
    );
    assert_eq!(
        done,
        json!({ "phase": "done", "percent": 100, "image": 6, "images": 6 })
    );
}

#[test]
fn hires_fix_counts_each_batch_twice() {
    let updates = updates_of(
        r#"{"n_iter": 2, "enable_hr": true}"#,
        [answer(0.1, 4, 0, 5), answer(0.3, 4, 1, 5), answer(0.6, 4, 2, 5)],
    );
    let seen: Vec<_> = updates
        .iter()
        .map(|update| (update["phase"].as_str().unwrap(), &update["image"]))
        .collect();
    assert_eq!(
        seen,
        [
            ("sampling", &json!(1)),
            ("upscaling", &json!(1)),
            ("sampling", &json!(2))
        ]
    );
}

#[test]
fn what_a_failed_upscaling_left_behind_is_not_reported() {
    // §7: job_count 1 and progress 1.0 stay until the next job begins.
    let updates = updates_of(
        "{}",
        [answer(1.0, 1, 1, 0), answer(0.05, 1, 0, 1), answer(1.0, 1, 1, 0)],
    );
    assert_eq!(updates[0], Value::Null);
    assert_eq!(
        (&updates[1]["percent"], &updates[2]["percent"]),
        (&json!(5), &json!(99))
    );
}

#[test]
fn nothing_new_and_nothing_at_all_are_not_reported() {
    let idle = json!({ "progress": 0.0, "state": { "job_count": 0, "sampling_steps": 25 } });
    assert_eq!(
        updates_of(
            "{}",
            [idle, json!({}), answer(0.4, 1, 0, 5), answer(0.4, 1, 0, 5)]
        )
        .iter()
        .map(Value::is_null)
        .collect::<Vec<_>>(),
        [true, true, false, true]
    );
}

#[test]
fn our_own_estimate_is_better_than_the_servers() {
    let seen = serde_json::from_value(answer(0.41, 1, 0, 10)).unwrap();
    let update = tracker("{}").next(&seen, Some(Duration::from_millis(1234)), Some("aGk=".to_owned()));
    let update = serde_json::to_value(update).unwrap();
    assert_eq!(
        (&update["eta_s"], &update["preview"]),
        (&json!(1.2), &json!("aGk="))
    );
}

proptest::proptest! {
    #[test]
    fn whatever_the_server_says_percent_never_falls(
        answers in proptest::collection::vec((-0.5_f64..1.5, -1_i64..5, -1_i64..6, -1_i64..30), 1..40)
    ) {
        let updates = updates_of(r#"{"n_iter": 2, "enable_hr": true}"#, answers.into_iter().map(|(p, c, n, s)| answer(p, c, n, s)));
        let percents: Vec<u64> = updates.iter().filter_map(|update| update["percent"].as_u64()).collect();
        proptest::prop_assert!(percents.is_sorted() && percents.iter().all(|percent| *percent < 100));
        for update in updates.iter().filter(|update| !update.is_null()) {
            proptest::prop_assert!(update["image"].as_u64() <= update["images"].as_u64());
            proptest::prop_assert!(update["step"].as_i64() <= update["steps"].as_i64());
        }
    }
}
