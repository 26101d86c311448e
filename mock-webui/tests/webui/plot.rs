//! The x/y/z plot, as a client that selects it sees it.

use mock_webui::MockWebUi;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{info, picture, post, read_png, render, small};

/// No axis is used, and nothing is ticked.
fn arguments() -> Value {
    json!([
        0,
        "",
        [],
        0,
        "",
        [],
        0,
        "",
        [],
        false,
        false,
        false,
        false,
        false,
        false,
        false,
        0,
        false
    ])
}

fn plot(set: &[(usize, Value)]) -> Value {
    let mut request = small("a cat", 2);
    request["script_name"] = json!("X/Y/Z plot");
    request["script_args"] = arguments();
    for (index, value) in set {
        request["script_args"][*index] = value.clone();
    }
    request
}

fn images(answer: &Value) -> usize {
    answer["images"].as_array().expect("a list").len()
}

#[tokio::test]
async fn a_plot_answers_its_grid_alone_unless_the_pictures_are_asked_for() {
    let webui = MockWebUi::start().await;
    let axes = [
        (0, json!(4)),
        (1, json!("1-3")),
        (3, json!(6)),
        (4, json!("5, 7.5")),
    ];
    let answer = render(&webui, &plot(&axes)).await;
    assert_eq!(images(&answer), 1);
    assert_eq!(read_png(&picture(&answer, 0)).size, (3 * 64, 2 * 64));
    let document = info(&answer);
    assert_eq!(document["index_of_first_image"], json!(1));
    assert_eq!(document["all_seeds"], json!([42, 42, 42, 42, 42, 42]));
    let texts = document["infotexts"].as_array().expect("a list");
    assert_eq!(texts.len(), 7);
    let grid = texts[0].as_str().expect("a text");
    assert!(
        grid.contains("Script: X/Y/Z plot, X Type: Steps, X Values: 1-3, Y Type: CFG Scale"),
        "{grid}"
    );
    let last = texts[6].as_str().expect("a text");
    assert!(
        last.contains("Steps: 3,") && last.contains("CFG scale: 7.5"),
        "{last}"
    );

    let lone = [&axes[..], &[(10, json!(true))]].concat();
    let answer = render(&webui, &plot(&lone)).await;
    assert_eq!(images(&answer), 7);
    assert_eq!(
        json!(read_png(&picture(&answer, 6)).text.expect("a chunk").1),
        info(&answer)["infotexts"][6]
    );
}

#[tokio::test]
async fn the_axes_change_prompts_seeds_and_samplers() {
    let webui = MockWebUi::start().await;
    let answer = render(
        &webui,
        &plot(&[
            (0, json!(7)),
            (1, json!("cat, dog")),
            (3, json!(1)),
            (4, json!("5, -1")),
            (6, json!(9)),
            (8, json!(["Euler", "Heun"])),
            (11, json!(true)),
        ]),
    )
    .await;
    // The whole, and one grid for each sampler.
    assert_eq!(images(&answer), 3);
    let document = info(&answer);
    let prompts = document["all_prompts"].as_array().expect("a list");
    assert_eq!(prompts.len(), 2 + 8);
    assert_eq!((&prompts[2], &prompts[3]), (&json!("a cat"), &json!("a dog")));
    assert_eq!(document["all_seeds"][2], json!(5));
    // A seed left to chance is drawn once and shared.
    assert_ne!(document["all_seeds"][4], json!(-1));
    assert_eq!(document["all_seeds"][4], document["all_seeds"][9]);
    let last = document["infotexts"][10].as_str().expect("a text");
    assert!(
        last.starts_with("a dog\n") && last.contains("Sampler: Heun"),
        "{last}"
    );
}

#[tokio::test]
async fn a_cell_is_the_picture_of_the_plain_request() {
    let webui = MockWebUi::start().await;
    let answer = render(
        &webui,
        &plot(&[(0, json!(1)), (1, json!("42, 43")), (10, json!(true))]),
    )
    .await;
    let plain = render(&webui, &small("a cat", 2)).await;
    assert_eq!(picture(&answer, 1), picture(&plain, 0));
    assert_ne!(picture(&answer, 2), picture(&plain, 0));
}

#[tokio::test]
async fn a_plot_that_cannot_be_read_is_a_500_of_pythons_class() {
    let webui = MockWebUi::start().await;
    let mut short = plot(&[]);
    short["script_args"] = json!([0, ""]);
    for (request, class) in [
        (short, "TypeError"),
        (plot(&[(0, json!(4)), (1, json!("many"))]), "ValueError"),
        (plot(&[(0, json!(7)), (1, json!("owl, dog"))]), "RuntimeError"),
    ] {
        let response = post(&webui, "txt2img", &request).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let answer: Value = response.json().await.expect("JSON");
        assert_eq!(answer["error"], json!(class), "{answer}");
    }
}
