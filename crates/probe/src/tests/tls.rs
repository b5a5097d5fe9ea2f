use std::sync::LazyLock;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;
use watershed_health::TlsOptions;

use super::*;

type Authority = CertifiedIssuer<'static, KeyPair>;

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| authority("own"));
static FOREIGN: LazyLock<Authority> = LazyLock::new(|| authority("foreign"));

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for a name and an address, which ends on the first day of
/// the year.
fn certificate(name: &str, ends: i32) -> CertificateParams {
    let names = vec![name.to_owned(), "127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(ends, 1, 1);
    params
}

/// How a server speaks TLS with a certificate of the authority.
fn server(params: &CertificateParams, by: &Authority, protocol: &[u8]) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, by).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// The authority is known to the prober.
fn trusting() -> Config {
    Config {
        authorities: AUTHORITY.pem().into_bytes(),
        ..config()
    }
}

/// Probes a server with the certificate, with SNI `www.example.com`.
async fn probe_tls(params: CertificateParams, by: &Authority, verify: bool) -> ProbeResult {
    let acceptor = server(&params, by, b"http/1.1");
    let address = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            assert_eq!(stream.get_ref().1.server_name(), Some("www.example.com"));
            let mut octets = [0; 1000];
            if stream.read(&mut octets).await.is_ok_and(|read| read > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                let _ = stream.shutdown().await;
            }
        }
    });
    let kind = ProbeKind::Http(HttpProbe {
        tls: Some(TlsOptions {
            server_name: Some("www.example.com".to_owned()),
            verify,
        }),
        ..http(address.await.port())
    });
    probe_with(trusting(), &check(kind), "127.0.0.1").await
}

fn unix(year: i32) -> i64 {
    date_time_ymd(year, 1, 1).unix_timestamp()
}

#[tokio::test]
async fn a_valid_certificate_passes_and_its_end_is_reported() {
    let result = probe_tls(certificate("www.example.com", 2100), &AUTHORITY, true).await;
    assert_passes(&result, "HTTP 200");
    assert_eq!(result.certificate_expires, Some(unix(2100)));
}

#[tokio::test]
async fn an_expired_certificate_fails_and_its_end_is_reported() {
    let result = probe_tls(certificate("www.example.com", 2024), &AUTHORITY, true).await;
    assert_fails(&result, "certificate", "certificate expired on 2024-01-01");
    assert_eq!(result.certificate_expires, Some(unix(2024)));
}

#[tokio::test]
async fn a_certificate_for_another_name_fails() {
    let result = probe_tls(certificate("old.example.com", 2100), &AUTHORITY, true).await;
    let message = "certificate is not for www.example.com, but for ";
    let Outcome::Failure(words) = &result.outcome else {
        panic!("{result:?}");
    };
    assert!(
        words.starts_with(message) && words.contains("old.example.com"),
        "{words}"
    );
    assert_eq!(result.kind, "certificate");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_fails() {
    let result = probe_tls(certificate("www.example.com", 2100), &FOREIGN, true).await;
    assert_fails(
        &result,
        "certificate",
        "certificate of an unknown authority",
    );
    assert_eq!(result.certificate_expires, Some(unix(2100)));
}

#[tokio::test]
async fn without_verification_every_certificate_passes() {
    let result = probe_tls(certificate("old.example.com", 2024), &FOREIGN, false).await;
    assert_passes(&result, "HTTP 200");
    assert_eq!(result.certificate_expires, Some(unix(2024)));
}

#[tokio::test]
async fn the_address_is_the_name_where_there_is_none() {
    let acceptor = server(&certificate("x.example", 2100), &AUTHORITY, b"http/1.1");
    let address = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                let _ = stream.read_u8().await;
            }
        }
    });
    let kind = ProbeKind::Http(HttpProbe {
        tls: Some(TlsOptions {
            server_name: None,
            verify: true,
        }),
        ..http(address.await.port())
    });
    let result = probe_with(trusting(), &check(kind), "127.0.0.1").await;
    assert_passes(&result, "HTTP 204");
}

#[tokio::test]
async fn a_server_without_tls_fails() {
    let port = answering("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let tls = Some(TlsOptions {
        server_name: None,
        verify: false,
    });
    let kind = HttpProbe { tls, ..http(port) };
    let result = probe_silent(ProbeKind::Http(kind.clone())).await;
    // It waits for an empty line, which no handshake has.
    assert_fails(&result, "timeout", "no TLS handshake in 300 ms");

    let address = serve(|mut stream| async move {
        let _ = stream.write_all(b"220 mail.example ESMTP\r\n").await;
        let _ = stream.read_u8().await;
    });
    let port = address.await.port();
    let result = probe(ProbeKind::Http(HttpProbe { port, ..kind })).await;
    assert_eq!(result.kind, "tls", "{result:?}");
}

#[test]
fn authorities_must_be_certificates() {
    let bad = Config {
        authorities: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec(),
        ..config()
    };
    assert!(Client::new(bad).is_err());
    assert!(Client::new(trusting()).is_ok());
}
