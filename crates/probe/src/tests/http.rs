use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use tokio::net::TcpSocket;
use tokio::sync::oneshot;

use super::*;

async fn answer_to(answer: impl Into<Vec<u8>>) -> ProbeResult {
    let port = answering(answer).await;
    probe(ProbeKind::Http(http(port))).await
}

async fn search(text: &str, headers: &str, body: &[u8]) -> ProbeResult {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    let port = answering(answer).await;
    probe(ProbeKind::Http(HttpProbe {
        search_string: Some(text.to_owned()),
        ..http(port)
    }))
    .await
}

const MISSING: &str = "the first 5120 octets of the body do not contain \"ok\"";

#[tokio::test]
async fn statuses_decide() {
    let result = answer_to("HTTP/1.1 200 OK\r\n\r\n").await;
    assert_passes(&result, "HTTP 200");
    let result = answer_to("HTTP/1.1 503 Whatever\r\n\r\n").await;
    assert_fails(&result, "status", "HTTP 503 Service Unavailable");
    // Not followed.
    let result = answer_to("HTTP/1.1 301 M\r\nLocation: http://192.0.2.1/\r\n\r\n").await;
    assert_passes(&result, "HTTP 301 Moved Permanently");
    let result = answer_to("HTTP/1.1 799 x\r\n\r\n").await;
    assert_fails(&result, "status", "HTTP 799");
}

#[tokio::test]
async fn the_request_is_as_the_check_says() {
    let (sender, receiver) = oneshot::channel();
    let sender = std::sync::Mutex::new(Some(sender));
    let address = serve(move |mut stream| {
        let sender = sender.lock().unwrap().take();
        async move {
            let request = read_request(&mut stream).await;
            sender.unwrap().send(request).unwrap();
        }
    });
    let port = address.await.port();
    let kind = ProbeKind::Http(HttpProbe {
        path: "/a?b=c".to_owned(),
        host: Some("www.example.com".to_owned()),
        headers: vec![("X-Probe".to_owned(), "1".to_owned())],
        ..http(port)
    });
    let result = probe(kind).await;
    assert_eq!(result.kind, "reset");
    let request = receiver.await.unwrap();
    let mut lines: Vec<_> = request.trim_end().split("\r\n").collect();
    lines.sort_unstable();
    let host = format!("host: www.example.com:{port}");
    let mut expected = vec![
        "GET /a?b=c HTTP/1.1",
        "accept: */*",
        "connection: close",
        &host,
        "user-agent: watershed-health-check",
        "x-probe: 1",
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn text_is_found_in_every_encoding() {
    let body = b"all is ok here";
    assert_passes(&search("ok", "", body).await, "HTTP 200");
    assert_fails(&search("ok", "", b"all is OK here").await, "body", MISSING);

    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(body).unwrap();
    let gzip = gzip.finish().unwrap();
    let result = search("ok", "Content-Encoding: gzip\r\n", &gzip).await;
    assert_passes(&result, "HTTP 200");
    let result = search("no", "Content-Encoding: gzip\r\n", &gzip).await;
    assert_eq!(result.kind, "body");

    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(body).unwrap();
    let zlib = zlib.finish().unwrap();
    let result = search("ok", "Content-Encoding: Deflate\r\n", &zlib).await;
    assert_passes(&result, "HTTP 200");

    let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
    raw.write_all(body).unwrap();
    let raw = raw.finish().unwrap();
    let result = search("ok", "Content-Encoding: deflate\r\n", &raw).await;
    assert_passes(&result, "HTTP 200");

    let result = search("ok", "Content-Encoding: br\r\n", body).await;
    let message = "the body has the encoding \"br\"; gzip and deflate can be searched";
    assert_fails(&result, "body", message);
    let result = search("ok", "Content-Encoding: gzip\r\n", b"not gzip at all").await;
    assert_eq!(result.kind, "body");
}

#[tokio::test]
async fn only_the_first_5120_octets_count() {
    let at = |offset: usize| [vec![b'x'; offset], b"ok".to_vec(), vec![b'x'; 50_000]].concat();
    assert_passes(&search("ok", "", &at(5118)).await, "HTTP 200");
    assert_fails(&search("ok", "", &at(5119)).await, "body", MISSING);
    let gzip = |body: Vec<u8>| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&body).unwrap();
        gzip.finish().unwrap()
    };
    let encoding = "Content-Encoding: gzip\r\n";
    assert_passes(&search("ok", encoding, &gzip(at(5118))).await, "HTTP 200");
    assert_fails(
        &search("ok", encoding, &gzip(at(5119))).await,
        "body",
        MISSING,
    );
    // 100 MB of nothing.
    let bomb = gzip(vec![0; 100_000_000]);
    let result = search("ok", encoding, &bomb).await;
    assert_fails(&result, "body", MISSING);
    assert!(result.took < Duration::from_secs(2), "{:?}", result.took);
}

#[tokio::test]
async fn an_endless_answer_is_read_as_far_as_needed() {
    let address = serve(|mut stream| async move {
        read_request(&mut stream).await;
        let mut write = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while write.is_ok() {
            write = stream.write_all(&[b'x'; 1000]).await;
        }
    });
    let kind = HttpProbe {
        search_string: Some("ok".to_owned()),
        ..http(address.await.port())
    };
    let result = probe(ProbeKind::Http(kind)).await;
    assert_fails(&result, "body", MISSING);
}

#[tokio::test]
async fn headers_are_limited() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(17_000));
    let result = answer_to(long).await;
    assert_fails(
        &result,
        "protocol",
        "the header is larger than 16384 octets",
    );
    let fits = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(16_000));
    assert_passes(&answer_to(fits).await, "HTTP 200");
}

#[tokio::test]
async fn what_is_not_http_fails() {
    let result = answer_to("SSH-2.0-\u{1b}[31m\r\n\r\n").await;
    assert_eq!(result.kind, "protocol", "{result:?}");
    let result = answer_to("").await;
    assert_fails(
        &result,
        "reset",
        "connection closed before the answer was whole",
    );
    let result = answer_to("HTTP/1.1 200").await;
    assert_fails(
        &result,
        "reset",
        "connection closed before the answer was whole",
    );
}

#[tokio::test]
async fn a_reset_is_named() {
    let address = serve(|mut stream| async move {
        read_request(&mut stream).await;
        stream.set_zero_linger().unwrap();
    });
    let kind = ProbeKind::Http(http(address.await.port()));
    assert_fails(&probe(kind).await, "reset", "connection reset");
}

#[tokio::test]
async fn silence_ends_with_the_timeout() {
    // Never accepted, but the connection stands.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(8).unwrap();
    let port = listener.local_addr().unwrap().port();
    let result = probe_silent(ProbeKind::Http(http(port))).await;
    assert_fails(&result, "timeout", "no answer in 300 ms");

    // A header that comes by and by.
    let address = serve(|mut stream| async move {
        read_request(&mut stream).await;
        let mut write = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await;
        while write.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            write = stream.write_all(b"x").await;
        }
    });
    let result = probe_silent(ProbeKind::Http(http(address.await.port()))).await;
    assert_fails(&result, "timeout", "no answer in 300 ms");

    // A body that does not come.
    let address = serve(|mut stream| async move {
        read_request(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab";
        stream.write_all(head).await.unwrap();
        let _ = stream.read_u8().await;
    });
    let kind = HttpProbe {
        search_string: Some("ok".to_owned()),
        ..http(address.await.port())
    };
    let result = probe_silent(ProbeKind::Http(kind)).await;
    assert_fails(&result, "timeout", "the body was not complete after 300 ms");
}
