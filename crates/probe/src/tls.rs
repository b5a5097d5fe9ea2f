//! TLS for probes.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, IpAddr as TlsAddress, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use watershed_health::{Address, TlsOptions};

use crate::failure::Failed;
use crate::trace::{Stage, Trace};

/// The protocol spoken within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inner {
    Http1,
    Http2,
}

/// Configurations of TLS, made once.
///
/// A certificate is verified after the handshake and before anything is sent,
/// not within it: so its end is known when it is refused, too.
pub(crate) struct Tls {
    verified: [Arc<ClientConfig>; 2],
    unverified: [Arc<ClientConfig>; 2],
    verifier: Arc<WebPkiServerVerifier>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// Trusts the public authorities and those in the PEM text.
    pub(crate) fn new(authorities: &[u8]) -> Result<Self, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let public = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
        let mut roots: RootCertStore = public.collect();
        for certificate in CertificateDer::pem_slice_iter(authorities) {
            let certificate =
                certificate.map_err(|error| format!("the authorities are not PEM: {error}"))?;
            roots
                .add(certificate)
                .map_err(|error| format!("a certificate of the authorities is not one: {error}"))?;
        }
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| error.to_string())?;
        let configs = |signatures: bool| -> Result<[Arc<ClientConfig>; 2], String> {
            let later = Arc::new(Later {
                verifier: Arc::clone(&verifier),
                signatures,
            });
            Ok([
                config(&provider, &later, b"http/1.1")?,
                config(&provider, &later, b"h2")?,
            ])
        };
        Ok(Self {
            verified: configs(true)?,
            unverified: configs(false)?,
            verifier,
        })
    }

    /// Speaks TLS on a connection.
    pub(crate) async fn wrap(
        &self,
        stream: TcpStream,
        address: &Address,
        options: &TlsOptions,
        inner: Inner,
        trace: &mut Trace,
    ) -> Result<TlsStream<TcpStream>, Failed> {
        trace.stage = Stage::Tls;
        let name = server_name(address, options)?;
        let [http1, http2] = if options.verify {
            &self.verified
        } else {
            &self.unverified
        };
        let config = match inner {
            Inner::Http1 => http1,
            Inner::Http2 => http2,
        };
        let stream = TlsConnector::from(Arc::clone(config))
            .connect(name.clone(), stream)
            .await?;
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let Some((leaf, others)) = certificates.split_first() else {
            return Err(Failed::new("tls", "TLS: no certificate"));
        };
        trace.certificate_expires = expires(leaf);
        if options.verify {
            self.verifier
                .verify_server_cert(leaf, others, &name, &[], UnixTime::now())
                .map_err(|error| refused(&error))?;
        }
        Ok(stream)
    }
}

fn config(
    provider: &Arc<CryptoProvider>,
    later: &Arc<Later>,
    protocol: &[u8],
) -> Result<Arc<ClientConfig>, String> {
    let verifier: Arc<dyn ServerCertVerifier> = Arc::clone(later) as _;
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    // A resumed session shows the certificate of the first one.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn server_name(address: &Address, options: &TlsOptions) -> Result<ServerName<'static>, Failed> {
    let name = match (&options.server_name, address) {
        (Some(name), _) => name,
        (None, Address::Host(host)) => host,
        (None, Address::Ip(ip)) => return Ok(ServerName::IpAddress(TlsAddress::from(*ip))),
    };
    let plain = name.strip_suffix('.').unwrap_or(name);
    ServerName::try_from(plain.to_owned())
        .map_err(|_| Failed::new("tls", format!("TLS: {name} is not a server name")))
}

/// When a certificate ends, in Unix seconds.
fn expires(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

/// Why a certificate is refused.
fn refused(error: &rustls::Error) -> Failed {
    let rustls::Error::InvalidCertificate(why) = error else {
        return Failed::new("certificate", format!("certificate refused: {error}"));
    };
    let message = match why {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("certificate expired on {}", date(*not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("certificate is not valid before {}", date(*not_before))
        }
        CertificateError::UnknownIssuer => "certificate of an unknown authority".to_owned(),
        CertificateError::BadSignature => {
            "certificate is not signed by the authority that it names".to_owned()
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let names = presented.join(", ");
            format!(
                "certificate is not for {}, but for {names}",
                expected.to_str()
            )
        }
        other => format!("certificate refused: {other}"),
    };
    Failed::new("certificate", message)
}

/// The day, in UTC.
fn date(time: UnixTime) -> String {
    i64::try_from(time.as_secs())
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(
            || "an unknown day".to_owned(),
            |time| time.strftime("%Y-%m-%d").to_string(),
        )
}

/// Leaves the certificate for after the handshake. Where it is verified then,
/// the peer must prove that it has the key.
#[derive(Debug)]
struct Later {
    verifier: Arc<WebPkiServerVerifier>,
    signatures: bool,
}

impl ServerCertVerifier for Later {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.signatures {
            self.verifier.verify_tls12_signature(message, cert, dss)
        } else {
            Ok(HandshakeSignatureValid::assertion())
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.signatures {
            self.verifier.verify_tls13_signature(message, cert, dss)
        } else {
            Ok(HandshakeSignatureValid::assertion())
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
