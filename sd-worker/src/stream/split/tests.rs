//! Which requests a render is split into.

use serde_json::json;

use super::*;

fn split(body: &str) -> RenderSplit {
    RenderSplit::of(Call::txt2img(RawJson::parse(body.to_owned()).unwrap()))
}

fn answer(info: &Value) -> RawJson {
    RawJson::from(json!({ "images": ["…"], "info": info.to_string() }))
}

/// The requests that are sent, if the first is answered with `info`.
fn sent(body: &str, info: &Value) -> Vec<String> {
    let mut split = split(body);
    let mut sent = Vec::new();
    while split.part().is_some() {
        let call = split.call().unwrap();
        sent.push(call.body.unwrap().as_str().to_owned());
        split.done(Seeds::of(&answer(info)));
    }
    sent
}

#[test]
fn each_batch_is_asked_for_with_its_own_seeds_and_the_rest_stays() {
    assert_eq!(
        sent(
            r#"{ "n_iter":3, "prompt": "a", "seed": -1 ,"batch_size":2}"#,
            &json!({ "seed": 100, "subseed": 7, "subseed_strength": 0, "batch_size": 2 })
        ),
        [
            r#"{ "n_iter":1, "prompt": "a", "seed": -1 ,"batch_size":2}"#,
            r#"{ "n_iter":1, "prompt": "a", "seed": 102 ,"batch_size":2,"subseed":9}"#,
            r#"{ "n_iter":1, "prompt": "a", "seed": 104 ,"batch_size":2,"subseed":11}"#,
        ]
    );
}

#[test]
fn with_variations_only_the_variation_seed_counts_up() {
    assert_eq!(
        sent(
            r#"{"n_iter": "2", "subseed": 7, "subseed_strength": 0.5}"#,
            &json!({ "seed": 100, "subseed": 7, "subseed_strength": 0.5, "batch_size": 1 })
        ),
        [
            r#"{"n_iter": 1, "subseed": 7, "subseed_strength": 0.5}"#,
            r#"{"n_iter": 1, "subseed": 8, "subseed_strength": 0.5,"seed":100}"#,
        ]
    );
}

#[test]
fn one_batch_is_sent_as_it_came() {
    for body in [
        "{}",
        r#"{"n_iter": 1.9}"#,
        r#"{"n_iter": null}"#,
        r#"{"n_iter": 0}"#,
        r#"{"n_iter": "nan"}"#,
        r#"{"n_iter": "inf"}"#,
        r#"{"n_iter": "1e9"}"#,
        r#"{"n_iter": "2.0"}"#,
        r#"{"n_iter": 1e999}"#,
        "[]",
    ] {
        assert_eq!(sent(body, &json!({})), [body]);
    }
}

#[test]
fn what_would_differ_stays_one_request_and_says_why() {
    for (more, why) in [
        (r#""script_name": "x/y/z plot""#, "script renders"),
        (r#""save_images": "true""#, "grid"),
        (r#""seed": -3"#, "below -1"),
        (r#""subseed": "-2""#, "below -1"),
        (
            r#""alwayson_scripts": {"ControlNet": {"args": []}}"#,
            "extensions",
        ),
        (r#""alwayson_scripts": 5"#, "extensions"),
    ] {
        let body = format!(r#"{{"n_iter": 4, {more}}}"#);
        let split = split(&body);
        assert_eq!(split.part(), Some(JobPart::WHOLE), "{body}");
        assert!(split.in_one.is_some_and(|reason| reason.contains(why)), "{body}");
        assert_eq!(split.call().unwrap().body.unwrap().as_str(), body);
    }
}

#[test]
fn a_start_from_pictures_stays_one_request_and_says_why() {
    for body in [
        r#"{"n_iter": 4, "init_images": ["…"]}"#,
        r#"{"n_iter": 4, "init_images": ["…"], "mask": "…", "inpainting_fill": 1}"#,
        r#"{"n_iter": 2, "seed": 7, "denoising_strength": 0.1}"#,
    ] {
        let split = RenderSplit::of(Call::img2img(RawJson::parse(body).unwrap()));
        assert_eq!(split.part(), Some(JobPart::WHOLE), "{body}");
        assert!(
            split.in_one.is_some_and(|reason| reason.contains("noise")),
            "{body}"
        );
        assert_eq!(split.call().unwrap().body.unwrap().as_str(), body);
    }
    let one = RenderSplit::of(Call::img2img(RawJson::parse(r#"{"n_iter": 1}"#).unwrap()));
    assert_eq!(one.in_one, None, "one batch is no matter");
}

#[test]
fn what_runs_for_each_picture_is_no_obstacle() {
    let body = r#"{"n_iter": 2, "script_name": "", "save_images": false, "inpainting_fill": 1, "seed": -1,
        "alwayson_scripts": {"Refiner": {"args": [true, "m", 0.8]}, "seed": {}}}"#;
    assert_eq!(split(body).part(), Some(JobPart::new(0, 2)));
    assert_eq!(
        split(r#"{"n_iter": 2, "alwayson_scripts": null}"#).part(),
        Some(JobPart::new(0, 2))
    );
}

#[test]
fn without_known_seeds_there_is_no_next_request() {
    for info in [
        json!({}),
        json!({ "seed": -4 }),
        json!({ "seed": 1, "subseed": -2 }),
    ] {
        let mut split = split(r#"{"n_iter": 2}"#);
        split.done(Seeds::of(&answer(&info)));
        assert!(split.part().is_some() && split.call().is_none(), "{info}");
    }
}

#[test]
fn seeds_are_read_from_an_info_that_is_no_text_as_well() {
    let mut split = split(r#"{"n_iter": 2}"#);
    assert!(split.wants_seeds());
    let info = json!({ "seed": 4, "subseed": 6 });
    split.done(Seeds::of(&RawJson::from(json!({ "info": info }))));
    let body = split.call().unwrap().body.unwrap();
    assert_eq!(body.as_str(), r#"{"n_iter": 1,"seed":5,"subseed":7}"#);
    assert!(
        !split.wants_seeds(),
        "the last part reports nothing that is needed"
    );
}

proptest::proptest! {
    #[test]
    fn the_seeds_of_all_batches_are_those_of_one_request(
        seed in 0_i64..4_294_967_294, subseed in 0_i64..4_294_967_294,
        batch_size in 1_u32..5, batches in 1_u32..5, varied: bool,
    ) {
        // §6: the rule for a whole request.
        let pictures = i64::from(batch_size * batches);
        let of_one: Vec<(i64, i64)> =
            (0..pictures).map(|i| (if varied { seed } else { seed + i }, subseed + i)).collect();
        let strength = if varied { 0.3 } else { 0.0 };
        let seeds = Seeds {
            seed, subseed: Some(subseed), subseed_strength: Some(strength), batch_size: Some(batch_size),
        };
        let apart: Vec<(i64, i64)> = (0..batches).flat_map(|batch| {
            let (seed, subseed) = seeds.of_batch(batch);
            (0..i64::from(batch_size)).map(move |i| (if varied { seed } else { seed + i }, subseed.unwrap() + i))
        }).collect();
        proptest::prop_assert_eq!(apart, of_one);
    }
}
