//! Downloads into files, and lists of URLs.

use std::path::Path;
use std::time::Duration;

use super::super::{Blocked, DownloadError};
use super::*;
use crate::storage::test_server::{Reply, Server};
use runpod_worker::{ErrorClass, JobError};

fn entries(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_file_gets_the_servers_name_made_safe() {
    let server = Server::start(|_, _| {
        let headers = "Content-Disposition: attachment; filename=\"../../etc/cat.PNG\"\r\n\
                       Content-Type: Image/PNG; charset=x\r\n";
        Reply::with("200 OK", headers, "a picture")
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let url = format!("http://files.example:{}/x", server.port());
    let file = downloader().file(&url, &directory).await.unwrap();
    assert_eq!(file.path, directory.path().join("cat.PNG"));
    assert_eq!(file.original_name.as_deref(), Some("../../etc/cat.PNG"));
    assert_eq!(file.media_type.as_deref(), Some("image/png"));
    assert_eq!(file.bytes, 9);
    assert_eq!(std::fs::read(&file.path).unwrap(), b"a picture");
}

#[tokio::test]
async fn a_file_without_an_extension_has_no_dot_at_its_end() {
    let server = Server::start(|_, _| Reply::ok("x")).await;
    let directory = tempfile::tempdir().unwrap();
    let url = format!("http://files.example:{}/weights", server.port());
    let file = downloader().file(&url, &directory).await.unwrap();
    assert_eq!(file.path, directory.path().join("weights"));
}

#[tokio::test]
async fn files_of_one_name_do_not_overwrite_each_other() {
    let server = Server::start(|_, head| Reply::ok(head.split(' ').nth(1).unwrap())).await;
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/nonexistent/target", directory.path().join("a.png")).unwrap();
    let url = |n: u32| format!("http://files.example:{}/{n}/a.png", server.port());
    let files = downloader().files((1..=3).map(url), &directory).await;
    let mut bodies: Vec<String> = files
        .into_iter()
        .map(|file| std::fs::read_to_string(file.unwrap().path).unwrap())
        .collect();
    assert_eq!(bodies, ["/1/a.png", "/2/a.png", "/3/a.png"]);
    bodies.sort();
    assert_eq!(
        entries(directory.path()),
        ["a-2.png", "a-3.png", "a-4.png", "a.png"]
    );
    assert!(!Path::new("/nonexistent/target").exists());
}

#[tokio::test]
async fn a_failed_download_leaves_no_file() {
    for (reply, limit) in [
        (Reply::cut as fn(usize, &'static str) -> Reply, 100),
        (|_: usize, _: &'static str| Reply::ok([b'x'; 20]), 10),
    ] {
        let server = Server::start(move |_, _| reply(9, "a pi")).await;
        let names = Arc::new(Names::default().with("files.example", &[&[PUBLIC]]));
        let directory = tempfile::tempdir().unwrap();
        let downloader = options(&names).max_bytes(limit).build().unwrap();
        let url = format!("http://files.example:{}/a.png", server.port());
        downloader.file(&url, &directory).await.unwrap_err();
        assert_eq!(entries(directory.path()), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_second_try_writes_the_same_file_from_its_beginning() {
    let server = Server::start(|number, _| match number {
        0 => Reply::cut(100, "half of it, and more than the whole"),
        _ => Reply::ok("a picture"),
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let url = format!("http://files.example:{}/a.png", server.port());
    let file = downloader().file(&url, &directory).await.unwrap();
    assert_eq!(std::fs::read(&file.path).unwrap(), b"a picture");
    assert_eq!(
        (file.bytes, entries(directory.path())),
        (9, vec!["a.png".to_owned()])
    );
}

#[tokio::test]
async fn a_dropped_download_leaves_no_file() {
    let server =
        Server::start(|_, _| Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na pi".to_vec()))
            .await;
    let directory = tempfile::tempdir().unwrap();
    let url = format!("http://files.example:{}/a.png", server.port());
    let downloader = downloader();
    let download = tokio::spawn({
        let directory = directory.path().to_owned();
        async move { downloader.file(&url, directory).await }
    });
    while entries(directory.path()).is_empty() {
        tokio::task::yield_now().await;
    }
    download.abort();
    assert!(download.await.unwrap_err().is_cancelled());
    // The thread that made the file may still hold it.
    while !entries(directory.path()).is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_the_workers_mistake() {
    let server = Server::start(|_, _| Reply::ok("x")).await;
    let url = format!("http://files.example:{}/a.png", server.port());
    let error = downloader().file(&url, "/nonexistent/jobs").await.unwrap_err();
    assert!(matches!(error, DownloadError::NotStored { .. }));
    let error = JobError::from(error);
    assert_eq!(
        (error.code().as_str(), error.class()),
        ("DOWNLOAD_NOT_STORED", ErrorClass::Worker)
    );
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_blocked_url_does_not_hurt_the_others_of_its_list() {
    let server = Server::start(|_, head| match head.split(' ').nth(1).unwrap() {
        "/gone" => Reply::status("404 Not Found"),
        path => Reply::ok(path),
    })
    .await;
    let url = |path: &str| format!("http://files.example:{}{path}", server.port());
    let urls = [
        url("/a"),
        "http://10.0.0.1/".to_owned(),
        url("/gone"),
        url("/b"),
        String::new(),
    ];
    let results = downloader().bytes_of_all(&urls).await;
    assert_eq!(results[0].as_ref().unwrap(), "/a");
    assert!(matches!(
        results[1],
        Err(DownloadError::Blocked {
            reason: Blocked::Address("private"),
            ..
        })
    ));
    assert!(matches!(
        results[2],
        Err(DownloadError::Status { status: 404, .. })
    ));
    assert_eq!(results[3].as_ref().unwrap(), "/b");
    assert!(matches!(results[4], Err(DownloadError::NotAUrl(_))));
    assert_eq!(results.len(), 5);
}

#[tokio::test]
async fn a_list_keeps_its_order_and_its_bound() {
    let server = Server::start(|_, head| Reply::ok(head.split(' ').nth(1).unwrap())).await;
    let names = Arc::new(Names::default().with("files.example", &[&[PUBLIC]]));
    let downloader = options(&names).parallel(2).build().unwrap();
    let urls = (0..20).map(|n| format!("http://files.example:{}/{n}", server.port()));
    let bodies = downloader.bytes_of_all(urls).await;
    for (n, body) in bodies.into_iter().enumerate() {
        assert_eq!(body.unwrap(), format!("/{n}"));
    }
    assert!(server.most_open() <= 2, "{} at once", server.most_open());
}

#[tokio::test]
async fn a_list_is_fetched_side_by_side() {
    // The first answer waits for the third request, so one after the other would never end.
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let open = gate.clone();
    let server = Server::start(move |number, _| {
        if number == 2 {
            open.close();
        }
        if open.is_closed() {
            Reply::ok("x")
        } else {
            Reply::Stall(Vec::new())
        }
    })
    .await;
    let names = Arc::new(Names::default().with("files.example", &[&[PUBLIC]]));
    let downloader = options(&names)
        .parallel(3)
        .stall_timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    let urls = (0..3).map(|n| format!("http://files.example:{}/{n}", server.port()));
    let bodies = downloader.bytes_of_all(urls).await;
    assert!(bodies.iter().all(Result::is_ok), "{bodies:?}");
    assert_eq!(server.requests().len(), 5, "three at once, and two of them again");
}
