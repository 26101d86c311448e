//! Stored objects equal the sent ones.

use bytes::Bytes;

use super::*;

const MIB: usize = 1 << 20;

#[tokio::test]
async fn a_small_object_is_one_put_and_one_look() {
    let server = S3Server::start().await;
    let uploaded = bucket(&server)
        .put("job-1/a b ü.jpg", "a picture", None)
        .await
        .unwrap();
    assert_eq!((uploaded.key.as_str(), uploaded.bytes), ("job-1/a b ü.jpg", 9));
    assert_eq!(uploaded.media_type, "image/jpeg");
    assert_eq!(server.methods(), ["PUT", "HEAD"]);
    assert_eq!(
        std::fs::read(server.stored("job-1/a b ü.jpg")).unwrap(),
        b"a picture"
    );
}

#[tokio::test]
async fn an_object_just_below_8_mib_goes_at_once_and_one_of_8_mib_in_parts() {
    let server = S3Server::start().await;
    let bucket = bucket(&server);
    bucket.put("below", vec![1; 8 * MIB - 1], None).await.unwrap();
    assert_eq!(server.methods(), ["PUT", "HEAD"]);
    bucket.put("at", vec![2; 8 * MIB], None).await.unwrap();
    assert_eq!(server.methods()[2..], ["POST", "PUT", "POST", "HEAD"]);
    assert_eq!(std::fs::read(server.stored("at")).unwrap(), vec![2; 8 * MIB]);
}

#[tokio::test]
async fn the_parts_of_a_large_object_keep_their_order() {
    let server = S3Server::start().await;
    let bytes: Bytes = (0..20 * MIB)
        .map(|n| u8::try_from(n / 4099 % 251).unwrap())
        .collect();
    let uploaded = bucket(&server)
        .put("large.bin", bytes.clone(), None)
        .await
        .unwrap();
    assert_eq!(uploaded.bytes, 20 << 20);
    assert!(std::fs::read(server.stored("large.bin")).unwrap() == bytes);
    assert_eq!(
        server
            .requests()
            .iter()
            .filter(|request| request.contains("partNumber="))
            .count(),
        3
    );
}

#[tokio::test]
async fn a_file_is_sent_as_it_is() {
    let server = S3Server::start().await;
    let directory = tempfile::tempdir().unwrap();
    for length in [0, 5, 9 * MIB] {
        let path = directory.path().join("video.mp4");
        let content: Vec<u8> = (0..length).map(|n| u8::try_from(n % 241).unwrap()).collect();
        std::fs::write(&path, &content).unwrap();
        let object = Object::file("job/video.mp4", &path);
        let uploaded = bucket(&server).put_object(object).await.unwrap();
        assert_eq!(
            (uploaded.bytes, uploaded.media_type.as_str()),
            (length as u64, "video/mp4")
        );
        assert!(std::fs::read(server.stored("job/video.mp4")).unwrap() == content);
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_an_error() {
    let server = S3Server::start().await;
    let object = Object::file("a", "/nonexistent/a");
    let error = bucket(&server).put_object(object).await.unwrap_err();
    assert!(matches!(error, UploadError::File { .. }), "{error}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn the_bytes_of_an_upload_are_not_copied() {
    let bytes = Bytes::from(vec![0; 20 * MIB]);
    let source = super::super::object::Source::Bytes(bytes.clone());
    let piece = source.piece(8 << 20, 8 << 20).await.unwrap();
    assert_eq!(piece.as_ptr(), bytes[8 * MIB..].as_ptr());
}

#[tokio::test]
async fn a_list_keeps_its_order_and_its_failures() {
    let server = S3Server::start().await;
    let names = ["0", "../1", "2", "3", "4"];
    let objects = names.map(|name| Object::new(name, name.to_owned()).content_type("text/plain"));
    let results = bucket(&server).parallel(2).put_all(objects).await;
    let keys: Vec<_> = results
        .iter()
        .map(|result| result.as_ref().map(|uploaded| uploaded.key.as_str()).ok())
        .collect();
    assert_eq!(keys, [Some("0"), None, Some("2"), Some("3"), Some("4")]);
    assert!(matches!(results[1], Err(UploadError::BadKey { .. })));
    assert_eq!(std::fs::read(server.stored("4")).unwrap(), b"4");
}

#[tokio::test]
async fn an_object_takes_the_place_of_another() {
    let server = S3Server::start().await;
    let bucket = bucket(&server);
    bucket
        .put("a.txt", "the first, which is longer", None)
        .await
        .unwrap();
    bucket.put("a.txt", "the second", None).await.unwrap();
    assert_eq!(std::fs::read(server.stored("a.txt")).unwrap(), b"the second");
}

#[tokio::test]
async fn a_directory_stands_in_when_asked() {
    let directory = tempfile::tempdir().unwrap();
    let bucket = Bucket::directory(directory.path());
    let uploaded = bucket.put("job-1/steps/a.png", "a picture", None).await.unwrap();
    assert_eq!(
        std::path::Path::new(&uploaded.url),
        directory.path().join("job-1/steps/a.png")
    );
    assert_eq!(std::fs::read(&uploaded.url).unwrap(), b"a picture");
    assert!(bucket.put("../a.png", "x", None).await.is_err());
}
