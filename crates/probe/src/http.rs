//! An HTTP or HTTPS request.

use std::convert::Infallible;
use std::future::pending;

use http::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::uri::{Authority, Parts, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use watershed_health::{Address, HttpProbe, TlsOptions};

use crate::body;
use crate::client::Client;
use crate::failure::{Failed, Finding};
use crate::tls::Inner;
use crate::trace::{Stage, Trace};

/// Octets of a header, at most (Route 53).
const HEADER: usize = 16 * 1024;
/// Octets read at once.
const BUFFER: usize = 32 * 1024;

/// A connection, with or without TLS.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Asks, and holds the answer against what is expected.
pub(crate) async fn probe(
    client: &Client,
    probe: &HttpProbe,
    address: &Address,
    trace: &mut Trace,
) -> Result<Finding, Failed> {
    let request = request(client, probe, address)?;
    let stream = open(client, address, probe.port, probe.tls.as_ref(), trace).await?;
    trace.stage = Stage::Answer;
    exchange(stream, request, |response| judge(probe, response, trace)).await
}

/// A connection over which HTTP/1.1 may be spoken.
pub(crate) async fn open(
    client: &Client,
    address: &Address,
    port: u16,
    tls: Option<&TlsOptions>,
    trace: &mut Trace,
) -> Result<Box<dyn Io>, Failed> {
    let stream = client.network.connect(address, port, trace).await?;
    let Some(options) = tls else {
        return Ok(Box::new(stream));
    };
    let wrapped = client
        .tls
        .wrap(stream, address, options, Inner::Http1, trace);
    Ok(Box::new(wrapped.await?))
}

/// Sends the request and has the answer read, while the connection is served
/// in the same task: it ends with the probe.
pub(crate) async fn exchange<T, F>(
    stream: Box<dyn Io>,
    request: Request<Empty<Bytes>>,
    read: impl FnOnce(Response<Incoming>) -> F,
) -> Result<T, Failed>
where
    F: Future<Output = Result<T, Failed>>,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_header_size(HEADER)
        .max_buf_size(BUFFER)
        .handshake(TokioIo::new(stream))
        .await?;
    let work = async {
        let response = sender.send_request(request).await?;
        read(response).await
    };
    let serve = async {
        // Whatever ends the connection, the request learns of it.
        let _ = connection.await;
        pending::<Infallible>().await
    };
    tokio::select! {
        biased;
        done = work => done,
        never = serve => match never {},
    }
}

async fn judge(
    probe: &HttpProbe,
    response: Response<Incoming>,
    trace: &mut Trace,
) -> Result<Finding, Failed> {
    let status = response.status();
    let words = match status.canonical_reason() {
        _ if status.is_success() => format!("HTTP {}", status.as_u16()),
        Some(reason) => format!("HTTP {} {reason}", status.as_u16()),
        None => format!("HTTP {}", status.as_u16()),
    };
    let expected = |&(low, high): &(u16, u16)| (low..=high).contains(&status.as_u16());
    if !probe.expected_statuses.iter().any(expected) {
        return Err(Failed::new("status", words));
    }
    if let Some(text) = &probe.search_string {
        trace.stage = Stage::Body;
        body::search(response, text).await?;
    }
    Ok(Finding::passed(words))
}

fn request(
    client: &Client,
    probe: &HttpProbe,
    address: &Address,
) -> Result<Request<Empty<Bytes>>, Failed> {
    let mut request = get(&probe.path)?;
    let headers = request.headers_mut();
    headers.insert(HOST, header("Host", &host(probe, address))?);
    headers.insert(USER_AGENT, client.user_agent.clone());
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    add(headers, &probe.headers)?;
    Ok(request)
}

/// A GET request of a path and query.
pub(crate) fn get(path: &str) -> Result<Request<Empty<Bytes>>, Failed> {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let path = PathAndQuery::try_from(format!("{slash}{path}"))
        .map_err(|error| Failed::protocol(format!("{path} is not a path: {error}")))?;
    let mut parts = Parts::default();
    parts.path_and_query = Some(path);
    let uri = Uri::from_parts(parts)
        .map_err(|error| Failed::protocol(format!("the path is not one: {error}")))?;
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = uri;
    Ok(request)
}

/// Headers of the check. Those that say where a message ends are not for it.
fn add(headers: &mut HeaderMap, more: &[(String, String)]) -> Result<(), Failed> {
    let framing = [
        HOST,
        CONNECTION,
        CONTENT_LENGTH,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    for (name, value) in more {
        let key = HeaderName::try_from(name.as_str())
            .map_err(|_| Failed::protocol(format!("{name} is not a name of a header")))?;
        if !framing.contains(&key) {
            headers.insert(key, header(name, value)?);
        }
    }
    Ok(())
}

pub(crate) fn header(name: &str, value: &str) -> Result<HeaderValue, Failed> {
    HeaderValue::from_str(value)
        .map_err(|_| Failed::protocol(format!("the value of header {name} is not one")))
}

/// The Host header as Route 53 forms it: the name alone at the port of the
/// scheme, otherwise with the port; the address where there is no name.
fn host(probe: &HttpProbe, address: &Address) -> String {
    let own_port = if probe.tls.is_some() { 443 } else { 80 };
    let name = match (&probe.host, address) {
        (Some(host), _) => host.clone(),
        (None, address) => bracketed(address),
    };
    let has_port = Authority::try_from(name.as_str()).is_ok_and(|name| name.port().is_some());
    if probe.port == own_port || has_port {
        name
    } else {
        format!("{name}:{}", probe.port)
    }
}

/// As it stands in a URL.
pub(crate) fn bracketed(address: &Address) -> String {
    match address {
        Address::Ip(ip) if ip.is_ipv6() => format!("[{ip}]"),
        address => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_of(host: Option<&str>, port: u16, tls: bool, address: &str) -> String {
        let probe = HttpProbe {
            tls: tls.then_some(TlsOptions {
                server_name: None,
                verify: true,
            }),
            port,
            path: "/".to_owned(),
            host: host.map(str::to_owned),
            headers: Vec::new(),
            expected_statuses: vec![(200, 399)],
            search_string: None,
        };
        super::host(&probe, &Address::parse(address))
    }

    #[test]
    fn the_host_header_has_the_port_unless_it_is_the_schemes_own() {
        let www = Some("www.example.com");
        assert_eq!(host_of(www, 80, false, "192.0.2.1"), "www.example.com");
        assert_eq!(host_of(www, 443, true, "192.0.2.1"), "www.example.com");
        assert_eq!(host_of(www, 443, false, "192.0.2.1"), "www.example.com:443");
        assert_eq!(host_of(www, 80, true, "192.0.2.1"), "www.example.com:80");
        assert_eq!(host_of(None, 80, false, "192.0.2.1"), "192.0.2.1");
        assert_eq!(
            host_of(None, 8080, false, "2001:db8::1"),
            "[2001:db8::1]:8080"
        );
        assert_eq!(host_of(None, 8080, false, "a.example"), "a.example:8080");
        assert_eq!(
            host_of(Some("a.example:1"), 80, false, "b.example"),
            "a.example:1"
        );
    }

    #[test]
    fn headers_that_frame_a_message_are_left_out() {
        let mut headers = HeaderMap::new();
        let more = [("Transfer-Encoding", "chunked"), ("X-A", "b")];
        let more: Vec<_> = more.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        add(&mut headers, &more).unwrap();
        assert_eq!(headers.len(), 1);
        assert!(add(&mut headers, &[("X A".to_owned(), String::new())]).is_err());
        assert!(add(&mut headers, &[("X".to_owned(), "a\r\nb".to_owned())]).is_err());
    }

    #[test]
    fn paths_get_their_slash() {
        assert_eq!(get("a?b=c").unwrap().uri(), "/a?b=c");
        assert_eq!(get("//a").unwrap().uri().path(), "//a");
        assert!(get("/a b\r\n").is_err());
    }
}
