//! No request reaches an inner address, whatever names and servers say.

use super::super::{Blocked, DownloadError};
use super::*;
use crate::storage::test_server::{Reply, Server};

fn blocked(result: Result<bytes::Bytes, DownloadError>) -> Blocked {
    match result.unwrap_err() {
        DownloadError::Blocked { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_server_learns_the_url_and_nothing_about_this_worker() {
    let server = Server::start(|_, _| Reply::ok("a picture")).await;
    let url = format!("http://files.example:{}/a.png?sig=x#part", server.port());
    assert_eq!(downloader().bytes(&url).await.unwrap(), "a picture");
    let mut lines: Vec<String> = server.requests()[0].lines().map(str::to_lowercase).collect();
    lines.retain(|line| !line.is_empty());
    lines[1..].sort();
    assert_eq!(
        lines,
        [
            "get /a.png?sig=x http/1.1".to_owned(),
            "accept-encoding: identity".to_owned(),
            "accept: */*".to_owned(),
            format!("host: files.example:{}", server.port()),
            format!("user-agent: runpod-sdk-rust/{}", env!("CARGO_PKG_VERSION")),
        ]
    );
}

#[tokio::test]
async fn a_name_of_an_inner_address_is_blocked_before_anything_is_sent() {
    let server = Server::start_at(Ipv4Addr::new(127, 0, 0, 2), |_, _| Reply::ok("secret")).await;
    let names = Arc::new(Names::default().with("inner.example", &[&[INNER]]));
    let downloader = options(&names).build().unwrap();
    let url = format!("http://inner.example:{}/", server.port());
    assert_eq!(
        blocked(downloader.bytes(&url).await),
        Blocked::Address("loopback")
    );
    assert_eq!(names.asked().len(), 1, "a block is not tried again");
    assert_eq!(
        blocked(downloader.bytes(&server.url("/")).await),
        Blocked::Address("loopback")
    );
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn one_inner_address_blocks_the_host() {
    let server = Server::start(|_, _| Reply::ok("a picture")).await;
    for addresses in [[PUBLIC, INNER], [INNER, PUBLIC]] {
        let names = Arc::new(Names::default().with("mixed.example", &[&addresses]));
        let url = format!("http://mixed.example:{}/", server.port());
        let result = options(&names).build().unwrap().bytes(&url).await;
        assert_eq!(blocked(result), Blocked::Address("loopback"));
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_name_that_changes_its_mind_leads_nowhere_else() {
    let public = Server::start(|_, _| Reply::ok("public")).await;
    let names = Arc::new(Names::default().with("rebinding.example", &[&[PUBLIC], &[INNER]]));
    let downloader = options(&names).build().unwrap();
    let url = format!("http://rebinding.example:{}/", public.port());
    // The connection uses the checked address: there is no second look-up in between.
    assert_eq!(downloader.bytes(&url).await.unwrap(), "public");
    assert_eq!(names.asked().len(), 1);
    assert_eq!(
        blocked(downloader.bytes(&url).await),
        Blocked::Address("loopback")
    );
    assert_eq!(public.requests().len(), 1);
}

#[tokio::test]
async fn a_name_that_changes_its_mind_between_two_tries_is_blocked() {
    let public = Server::start(|_, _| Reply::status("503 Busy")).await;
    let names = Arc::new(Names::default().with("rebinding.example", &[&[PUBLIC], &[INNER]]));
    let url = format!("http://rebinding.example:{}/", public.port());
    let result = options(&names).build().unwrap().bytes(&url).await;
    assert_eq!(blocked(result), Blocked::Address("loopback"));
}

#[tokio::test]
async fn the_next_address_is_taken_when_one_does_not_answer() {
    let server = Server::start(|_, _| Reply::ok("a picture")).await;
    let names = Arc::new(Names::default().with("two.example", &[&[PUBLIC_BUT_DOWN, PUBLIC]]));
    let url = format!("http://two.example:{}/", server.port());
    let downloader = options(&names).attempts(1).build().unwrap();
    assert_eq!(downloader.bytes(&url).await.unwrap(), "a picture");
    assert_eq!(names.asked().len(), 1);
}

#[tokio::test]
async fn five_redirects_are_followed_and_a_sixth_is_not() {
    let server = Server::start(|_, head| {
        let left: u32 = head[5..6].parse().unwrap();
        match left {
            0 => Reply::ok("at last"),
            _ => Reply::redirect(&format!("/{}", left - 1)),
        }
    })
    .await;
    let url = |hops: u32| format!("http://files.example:{}/{hops}", server.port());
    assert_eq!(downloader().bytes(&url(5)).await.unwrap(), "at last");
    assert_eq!(
        blocked(downloader().bytes(&url(6)).await),
        Blocked::TooManyRedirects(5)
    );
    assert_eq!(server.requests().len(), 6 + 6);
}

#[tokio::test]
async fn a_redirect_to_an_inner_address_is_not_followed() {
    let inner = Server::start_at(Ipv4Addr::new(127, 0, 0, 2), |_, _| Reply::ok("secret")).await;
    let places = [
        inner.url("/"),
        format!("http://inner.example:{}/", inner.port()),
        format!("//127.2:{}/", inner.port()),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[::ffff:169.254.169.254]/".to_owned(),
    ];
    for place in places {
        let server = Server::start(move |_, _| Reply::redirect(&place)).await;
        let names = Names::default()
            .with("files.example", &[&[PUBLIC]])
            .with("inner.example", &[&[INNER]]);
        let downloader = options(&Arc::new(names)).build().unwrap();
        let url = format!("http://files.example:{}/", server.port());
        assert!(matches!(
            blocked(downloader.bytes(&url).await),
            Blocked::Address(_)
        ));
        assert_eq!(server.requests().len(), 1);
    }
    assert!(inner.requests().is_empty());
}

#[tokio::test]
async fn a_redirect_carries_nothing_from_the_first_host_to_the_second() {
    let second = Server::start(|_, _| Reply::ok("a picture")).await;
    let to = format!("http://second.example:{}/b", second.port());
    let first = Server::start(move |_, _| {
        Reply::with("307 Go", &format!("Location: {to}\r\nSet-Cookie: a=b\r\n"), "")
    })
    .await;
    let names = Names::default()
        .with("files.example", &[&[PUBLIC]])
        .with("second.example", &[&[PUBLIC]]);
    let url = format!("http://files.example:{}/?token=secret", first.port());
    let downloader = options(&Arc::new(names)).build().unwrap();
    assert_eq!(downloader.bytes(&url).await.unwrap(), "a picture");
    let head = second.requests()[0].to_lowercase();
    assert!(head.starts_with("get /b http/1.1"), "{head}");
    for word in ["cookie", "referer", "authorization", "secret", "files.example"] {
        assert!(!head.contains(word), "{word}: {head}");
    }
}

#[tokio::test]
async fn a_redirect_without_a_place_is_an_answer_without_a_file() {
    let server = Server::start(|_, _| Reply::status("302 Found")).await;
    let url = format!("http://files.example:{}/", server.port());
    let error = downloader().bytes(&url).await.unwrap_err();
    assert!(
        matches!(error, DownloadError::Status { status: 302, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn behind_a_proxy_nothing_is_fetched_unless_no_proxy_says_so() {
    let server = Server::start(|_, _| Reply::ok("a picture")).await;
    let proxy = Server::start(|_, _| Reply::ok("from the proxy")).await;
    let names = Arc::new(Names::default().with("files.example", &[&[PUBLIC]]));
    let url = format!("http://files.example:{}/", server.port());
    let behind = |no: &'static str, open: &'static str| {
        let proxy = proxy.url("/");
        let builder = DownloaderBuilder::from_lookup(move |name| match name {
            "HTTP_PROXY" => Some(proxy.clone()),
            "NO_PROXY" => Some(no.to_owned()),
            "RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS" => Some(open.to_owned()),
            _ => None,
        });
        let egress = EgressPolicy::PublicAnd(vec![PUBLIC]);
        if open.is_empty() {
            builder.inside(names.clone(), egress)
        } else {
            builder
        }
        .build()
        .unwrap()
    };
    assert_eq!(blocked(behind("", "").bytes(&url).await), Blocked::Proxy);
    assert!(server.requests().is_empty() && proxy.requests().is_empty());
    assert_eq!(
        behind("files.example", "").bytes(&url).await.unwrap(),
        "a picture"
    );
    assert!(proxy.requests().is_empty());
    assert_eq!(behind("", "true").bytes(&url).await.unwrap(), "from the proxy");
}

#[tokio::test]
async fn the_escape_hatch_reaches_inner_addresses() {
    let inner = Server::start_at(Ipv4Addr::new(127, 0, 0, 2), |_, _| Reply::ok("wanted")).await;
    let open = DownloaderBuilder::from_lookup(|_| None)
        .allow_private_addresses(true)
        .build()
        .unwrap();
    assert_eq!(open.bytes(&inner.url("/")).await.unwrap(), "wanted");
    // Bound and never listened to: connections are refused, and no other server gets the port.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let by_name = format!("http://localhost:{}/", closed.local_addr().unwrap().port());
    // The error shows that the name was looked up and connected to.
    let error = open.bytes(&by_name).await.unwrap_err();
    assert!(
        matches!(error, DownloadError::Broken { transient: true, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn the_systems_own_localhost_is_blocked() {
    let server = Server::start(|_, _| Reply::ok("secret")).await;
    let downloader = DownloaderBuilder::from_lookup(|_| None).build().unwrap();
    for host in ["localhost", "LOCALHOST"] {
        let url = format!("http://{host}:{}/", server.port());
        assert_eq!(
            blocked(downloader.bytes(&url).await),
            Blocked::Address("loopback"),
            "{host}"
        );
    }
    assert!(server.requests().is_empty());
}
