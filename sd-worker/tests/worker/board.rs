//! The board and the alerts of `docs/operating` read what a worker exports.

use std::collections::BTreeSet;
use std::path::PathBuf;

use mock_webui::MockWebUi;

use crate::monitor::scrape;
use crate::support::Stage;

const SMALL: &str = r#"{"prompt": "x", "steps": 1, "width": 64, "height": 64}"#;

/// The SDK's figures that this worker does not show: those of a GPU, and one that comes with its first error.
const NOT_SHOWN_HERE: [&str; 4] = [
    "runpod_worker_platform_errors_total",
    "runpod_worker_gpu_memory_free_bytes",
    "runpod_worker_gpu_memory_total_bytes",
    "runpod_worker_gpu_utilization_ratios",
];

fn page(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/operating")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of figures in a text.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with("runpod_worker_") || word.starts_with("sd_worker_"))
        .map(str::to_owned)
        .collect()
}

/// The names of the series in a scrape, and those that it does not show.
fn exported(scraped: &str) -> BTreeSet<String> {
    let families = scraped.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let mut series: BTreeSet<String> = NOT_SHOWN_HERE.map(str::to_owned).into();
    for family in families {
        let (name, kind) = family.split_once(' ').unwrap();
        match kind {
            "counter" => drop(series.insert(format!("{name}_total"))),
            "histogram" => series.extend(["bucket", "count", "sum"].map(|part| format!("{name}_{part}"))),
            _ => drop(series.insert(name.to_owned())),
        }
    }
    series
}

#[tokio::test]
async fn the_board_and_the_alerts_read_only_what_a_worker_exports() {
    let webui = MockWebUi::start().await;
    let stage = Stage::with(webui.url(), &[("RUNPOD_WORKER_METRICS", "127.0.0.1:0")]).await;
    // Some figures need a job, and a trend needs several.
    for _ in 0..4 {
        stage.complete(SMALL).await;
    }
    let exported = exported(&scrape(&stage).await);
    for file in ["board.json", "alerts.yml"] {
        let used = names(&page(file));
        assert!(used.len() > 3, "{file}: {used:?}");
        let unknown: Vec<_> = used.difference(&exported).collect();
        assert!(
            unknown.is_empty(),
            "{file} reads {unknown:?}; exported are {exported:#?}"
        );
    }
    let board: serde_json::Value = serde_json::from_str(&page("board.json")).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let mut places = BTreeSet::new();
    for panel in panels {
        let place = &panel["gridPos"];
        assert!(
            places.insert((place["x"].as_u64(), place["y"].as_u64())),
            "{panel}"
        );
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{panel}");
    }
}

#[test]
fn what_is_not_shown_here_is_documented_by_the_sdk() {
    let documented = include_str!("../../../runpod-sdk/crates/worker/src/metrics/mod.rs");
    for name in NOT_SHOWN_HERE {
        let short = name.strip_prefix("runpod_worker_").unwrap();
        assert!(documented.contains(&format!("`{short}{{")), "{name}");
    }
}

#[test]
fn each_alert_has_its_line_on_the_page_and_each_code_exists() {
    let page =
        std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/operating.md"))
            .unwrap();
    let alerts = self::page("alerts.yml");
    let names: Vec<_> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(!names.is_empty());
    for name in names {
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
    }
    let codes = std::fs::read_to_string(
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/sd-worker-errors.md"),
    )
    .unwrap();
    for (_, rest) in alerts
        .match_indices("code=\"")
        .map(|(at, code)| alerts.split_at(at + code.len()))
    {
        let (code, _) = rest.split_once('"').unwrap();
        assert!(codes.contains(&format!("| `{code}` |")), "{code}");
    }
}
