//! What goes in comes out, byte for byte, in both directions.

use crate::support::{EXAMPLE, RawWebUi, Reply, Stage};

#[tokio::test]
async fn odd_answers_arrive_byte_for_byte() {
    const ODD: [&str; 9] = [
        r#"{"images":["\ud83d","\udc00 alone"],"info":"\u0000"}"#,
        "{}",
        "[]",
        "[[],[null,{}]]",
        r#"{"error": null, "output": {"error": "x"}, "refresh_worker": true}"#,
        r#"{"a":1.0,"b":1e0,"c":-0,"d":1E+2,"e":0.10,"f":123456789012345678901234567890,"g":1e400}"#,
        "{ \"b\" : 1 ,\n\t\"a\" : 2, \"b\": 3 }\n",
        "{\"ключ\": \"\u{1F600} é \u{2028}\", \"esc\": \"\\u00e9\\/\"}",
        "\"just text\"",
    ];
    let webui = RawWebUi::in_turn([
        (|| Reply::json(200, ODD[0])) as fn() -> Reply,
        || Reply::json(200, ODD[1]),
        || Reply::json(200, ODD[2]),
        || Reply::json(200, ODD[3]),
        || Reply::json(200, ODD[4]),
        || Reply::json(200, ODD[5]),
        || Reply::json(200, ODD[6]),
        || Reply::json(200, ODD[7]),
        || Reply::json(200, ODD[8]),
    ])
    .await;
    let stage = Stage::new(&webui.url).await;
    for odd in ODD {
        let output = stage.complete(EXAMPLE).await;
        assert_eq!(String::from_utf8(output).unwrap(), odd.trim_end());
    }
}

#[tokio::test]
async fn odd_inputs_arrive_byte_for_byte() {
    let webui = RawWebUi::in_turn([(|| Reply::json(200, "{}")) as fn() -> Reply]).await;
    let stage = Stage::new(&webui.url).await;
    let inputs = [
        EXAMPLE,
        "{\"prompt\":\"\" }",
        r#"{"seed":1e0,"cfg_scale":7.50,"prompt":"\ud83d \u00e9é","x":123456789012345678901234567890}"#,
        "{ \"b\" :\t1 , \"a\":null, \"b\":2, \"steps\" : 1 }",
    ];
    for input in inputs {
        stage.complete(input).await;
    }
    let sent: Vec<String> = webui
        .renders()
        .into_iter()
        .map(|body| String::from_utf8(body).unwrap())
        .collect();
    assert_eq!(sent, inputs);
}

#[tokio::test]
async fn a_chunked_answer_arrives_whole() {
    // Cut inside a character, inside an escape, and inside a number.
    let chunked = || {
        let text = "{\"a\":\"é\\u00e9\",\"n\":12.5}".as_bytes();
        let mut answer =
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
                .to_vec();
        for piece in [&text[..7], &text[7..11], &text[11..21], &text[21..]] {
            answer.extend(format!("{:x}\r\n", piece.len()).bytes());
            answer.extend(piece);
            answer.extend(b"\r\n");
        }
        answer.extend(b"0\r\n\r\n");
        Reply::Answer(answer)
    };
    let webui = RawWebUi::in_turn([chunked as fn() -> Reply]).await;
    let stage = Stage::new(&webui.url).await;
    let output = stage.complete(EXAMPLE).await;
    assert_eq!(
        String::from_utf8(output).unwrap(),
        "{\"a\":\"é\\u00e9\",\"n\":12.5}"
    );
}

/// Base64 of nothing in particular, the same in every run.
fn large_picture() -> String {
    let picture: String = (0_u32..24 << 20)
        .map(|n| char::from(b'A' + u8::try_from(n.wrapping_mul(2_654_435_761) >> 27).unwrap() % 26))
        .collect();
    format!(r#"{{"images":["{picture}"],"parameters":{{"n":1.0e0}},"info":"{{}}"}}"#)
}

#[tokio::test]
async fn twenty_four_megabytes_arrive_byte_for_byte() {
    let webui = RawWebUi::in_turn([(|| Reply::json(200, large_picture())) as fn() -> Reply]).await;
    let stage = Stage::new(&webui.url).await;
    let output = stage.complete(EXAMPLE).await;
    assert!(
        output == large_picture().as_bytes(),
        "{} bytes came",
        output.len()
    );
}
