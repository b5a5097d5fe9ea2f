//! Certificates that the operator issues.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PublicKey, PublicKeyData, SanType, date_time_ymd,
};

use super::{Bundle, TlsError};
use crate::fleet::Identity;

/// How long an authority lasts.
const AUTHORITY: Duration = Duration::from_hours(10 * 365 * 24);

/// Certificates begin so much earlier than now, for clocks that are behind.
const BACKDATE: Duration = Duration::from_mins(5);

/// Octets of an uncompressed point of P-256 (SEC 1, section 2.3.3).
const P256_POINT: usize = 65;

/// An authority: issues certificates.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate to issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What it is for.
    pub purpose: Purpose,
    /// The identity of a node.
    pub identity: Option<Identity>,
    /// Names or addresses under which a server is reached.
    pub names: Vec<String>,
    /// How long it is valid.
    pub valid: Duration,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The operator's own.
    Server,
    /// A node's.
    Client,
}

/// An issued certificate with its new key, both in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// The key that somebody wants a certificate for.
#[derive(Debug)]
pub struct RequestedKey(PublicKey);

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").finish_non_exhaustive()
    }
}

impl Issued {
    /// With the authority that issued it.
    pub fn with(self, authority: &Authority) -> Bundle {
        Bundle {
            ca: authority.certificate.clone(),
            certificate: self.certificate,
            key: self.key,
        }
    }
}

impl Authority {
    /// A new authority, and its key in PEM. It is valid for ten years from
    /// `now`, in seconds since 1970.
    ///
    /// # Errors
    /// When there is no randomness for a key.
    pub fn create(now: u64) -> Result<(Self, String), TlsError> {
        let key = KeyPair::generate()?;
        let pem = key.serialize_pem();
        let mut params = CertificateParams::new(Vec::new())?;
        params
            .distinguished_name
            .push(DnType::CommonName, "Watershed fleet authority");
        // It signs certificates, not other authorities.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, now, AUTHORITY);
        let certificate = params.self_signed(&key)?.pem();
        Ok((Self::load(certificate, &pem)?, pem))
    }

    /// An authority that was made before.
    ///
    /// # Errors
    /// When these are not a certificate and its key in PEM.
    pub fn load(certificate: String, key: &str) -> Result<Self, TlsError> {
        let key = KeyPair::from_pem(key)
            .map_err(|_| TlsError::unusable("the CA key", "it is no private key in PEM"))?;
        let of_certificate = super::with_first(&certificate, |parsed| {
            parsed.public_key().subject_public_key.data.to_vec()
        })?;
        if of_certificate != key.public_key_raw() {
            return Err(TlsError::unusable(
                "the CA key",
                "it is not the key of the CA certificate",
            ));
        }
        let issuer = Issuer::from_ca_cert_pem(&certificate, key)
            .map_err(|error| TlsError::unusable("the CA certificate", error))?;
        Ok(Self {
            certificate,
            issuer,
        })
    }

    /// The authority's own certificate, in PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Issues a certificate with a new key, valid from `now`, in seconds since
    /// 1970.
    ///
    /// # Errors
    /// When a name is not one, or there is no randomness for a key.
    pub fn issue(&self, now: u64, order: &Order) -> Result<Issued, TlsError> {
        let key = KeyPair::generate()?;
        let certificate = params(now, order)?.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    /// Issues a certificate for somebody's own key, likewise. Gives it in PEM.
    ///
    /// # Errors
    /// When a name is not one.
    pub fn sign(&self, now: u64, order: &Order, key: &RequestedKey) -> Result<String, TlsError> {
        let certificate = params(now, order)?.signed_by(&key.0, &self.issuer)?;
        Ok(certificate.pem())
    }
}

impl RequestedKey {
    /// Reads a request for a certificate (PKCS #10) in DER. Its sender has
    /// shown by its signature that the key is theirs; all else that they ask
    /// for is left aside.
    ///
    /// # Errors
    /// When it is no such request, or not for an ECDSA key on P-256: nodes make
    /// no other.
    pub fn read(der: &[u8]) -> Result<Self, TlsError> {
        let unusable = |message: &dyn fmt::Display| {
            TlsError::unusable("the request for a certificate", message)
        };
        let request = CertificateSigningRequestParams::from_der(&der.into());
        let key = request.map_err(|error| unusable(&error))?.public_key;
        // The algorithm is that of the signature; a key on another curve may
        // have made it, whose points are longer.
        let is_p256 = key.algorithm() == &PKCS_ECDSA_P256_SHA256;
        if !is_p256 || key.der_bytes().len() != P256_POINT {
            return Err(unusable(&"its key is not an ECDSA key on P-256"));
        }
        Ok(Self(key))
    }
}

/// All of a certificate but its key.
fn params(now: u64, order: &Order) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.subject_alt_names = alternative_names(order)?;
    let common = match (&order.identity, order.names.first()) {
        (Some(identity), _) => identity.to_string(),
        (None, Some(name)) => name.clone(),
        (None, None) => "watershed".to_owned(),
    };
    // X.520 allows 64 characters; nobody reads more than the start.
    let common: String = common.chars().take(64).collect();
    params.distinguished_name.push(DnType::CommonName, common);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![match order.purpose {
        Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
        Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
    }];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, now, order.valid);
    Ok(params)
}

fn alternative_names(order: &Order) -> Result<Vec<SanType>, TlsError> {
    let uri = order.identity.as_ref().map(|identity| {
        let uri = Ia5String::try_from(identity.to_string())?;
        Ok(SanType::URI(uri))
    });
    let names = order.names.iter().map(|name| {
        Ok(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(Ia5String::try_from(name.as_str())?),
        })
    });
    uri.into_iter().chain(names).collect()
}

fn set_validity(params: &mut CertificateParams, now: u64, valid: Duration) {
    let now = date_time_ymd(1970, 1, 1) + Duration::from_secs(now);
    params.not_before = now - BACKDATE;
    params.not_after = now + valid;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{ServerTls, client_config, expiry};

    const NOW: u64 = 1_790_000_000;

    fn order() -> Order {
        Order {
            purpose: Purpose::Server,
            identity: Identity::parse("spiffe://watershed/fleet/default"),
            names: vec!["operator.example.com".to_owned(), "192.0.2.1".to_owned()],
            valid: Duration::from_secs(1000),
        }
    }

    #[test]
    fn what_is_issued_can_be_used_and_names_whom_it_is_for() {
        let (authority, key) = Authority::create(NOW).expect("an authority");
        let again = Authority::load(authority.certificate().to_owned(), &key).expect("the same");
        let bundle = again
            .issue(NOW, &order())
            .expect("a certificate")
            .with(&again);
        ServerTls::new(&bundle).expect("a server");
        client_config(&bundle).expect("a client");
        assert_eq!(expiry(&bundle.certificate).expect("a date"), 1_790_001_000);
        let chain = crate::tls::chain(&bundle.certificate).expect("a chain");
        assert_eq!(
            Identity::of_certificate(&chain[0]).ok(),
            order().identity,
            "the identity reads back"
        );
    }

    #[test]
    fn an_authority_needs_its_own_key() {
        let (authority, _) = Authority::create(NOW).expect("an authority");
        let (_, other) = Authority::create(NOW).expect("another");
        let mixed = Authority::load(authority.certificate().to_owned(), &other);
        assert!(matches!(mixed, Err(TlsError::Unusable { .. })));
    }

    /// A request for a certificate that asks for far too much.
    fn greedy(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
        let names = vec!["operator.example.com".to_owned()];
        let mut params = CertificateParams::new(names).expect("names");
        params
            .distinguished_name
            .push(DnType::CommonName, "spiffe://watershed/fleet/other");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate_for(algorithm).expect("a key");
        let request = params.serialize_request(&key).expect("a request");
        request.der().to_vec()
    }

    #[test]
    fn nothing_but_the_key_is_taken_from_a_request() {
        let (authority, _) = Authority::create(NOW).expect("an authority");
        let key = RequestedKey::read(&greedy(&PKCS_ECDSA_P256_SHA256)).expect("a request");
        let order = Order {
            purpose: Purpose::Client,
            identity: Identity::parse("spiffe://watershed/fleet/default/node/dns-0"),
            names: Vec::new(),
            valid: Duration::from_hours(24),
        };
        let pem = authority.sign(NOW, &order, &key).expect("signed");
        assert_eq!(expiry(&pem).expect("a date"), 1_790_086_400);
        crate::tls::with_first(&pem, |certificate| {
            assert_eq!(
                certificate.public_key().subject_public_key.data,
                key.0.der_bytes()
            );
            assert!(!certificate.is_ca());
            let usage = certificate.extended_key_usage().expect("readable");
            let usage = usage.expect("given").value;
            assert!(usage.client_auth && !usage.server_auth && !usage.any);
            let names = certificate.subject_alternative_name().expect("readable");
            assert_eq!(names.expect("given").value.general_names.len(), 1);
            assert!(!certificate.subject().to_string().contains("other"));
        })
        .expect("a certificate");
        let chain = crate::tls::chain(&pem).expect("a chain");
        assert_eq!(Identity::of_certificate(&chain[0]).ok(), order.identity);
    }

    #[test]
    fn a_request_is_signed_by_its_own_key_on_p256() {
        let mut forged = greedy(&PKCS_ECDSA_P256_SHA256);
        let last = forged.last_mut().expect("octets");
        *last ^= 1;
        let mut cases = vec![
            Vec::new(),
            b"nonsense".to_vec(),
            greedy(&rcgen::PKCS_ECDSA_P384_SHA384),
            greedy(&rcgen::PKCS_ED25519),
            forged,
        ];
        cases.push(greedy(&PKCS_ECDSA_P256_SHA256)[..100].to_vec());
        for der in cases {
            let error = RequestedKey::read(&der).expect_err("no proper request");
            assert!(
                error.to_string().contains("the request for a certificate"),
                "{error}"
            );
        }
    }

    #[test]
    fn keys_do_not_show() {
        let (authority, _) = Authority::create(NOW).expect("an authority");
        let issued = authority.issue(NOW, &order()).expect("a certificate");
        let shown = format!("{issued:?} {:?}", issued.clone().with(&authority));
        assert!(!shown.contains("PRIVATE"), "{shown}");
    }
}
