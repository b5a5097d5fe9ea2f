//! Certificates that the operator makes for itself and for the nodes beside
//! it. The leader makes and renews them, the other replicas read them. Each
//! signs for the nodes that enrol with it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::authority::{Authority, Order, Purpose, RequestedKey};
use super::publish::CaPublisher;
use super::secrets::{SecretData, SecretStore};
use super::{Bundle, ServerTls, TRUST_DOMAIN, TlsError, with_first};
use crate::fleet::{FleetName, Identity, NodeName};

/// The authority, with its key.
pub const CA_SECRET: &str = "watershed-ca";
/// The operator's own certificate.
pub const SERVER_SECRET: &str = "watershed-operator-tls";
/// The certificate of the nodes of the fleet `default`.
pub const NODE_SECRET: &str = "watershed-dns-tls";

const CA: &str = "ca.crt";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// How long certificates last. They are renewed after two thirds of it.
const VALID: Duration = Duration::from_hours(90 * 24);

/// How long those last that nodes enrol for. They are in the memory of one
/// process, which gets another by itself.
const ENROLLED: Duration = Duration::from_hours(24);

/// How often certificates are looked at.
const LOOK: Duration = Duration::from_mins(1);

/// How soon they are looked at again while there are none.
const LOOK_SOON: Duration = Duration::from_secs(1);

/// How often somebody else may write a Secret while one is being written.
const ROUNDS: usize = 8;

/// The certificates in Secrets.
#[derive(Clone)]
pub struct Managed {
    store: Arc<dyn SecretStore>,
    /// Names and addresses under which nodes reach the operator.
    names: Vec<String>,
    trust_domain: String,
    /// Where nodes find whom to trust.
    publisher: Option<Arc<dyn CaPublisher>>,
}

impl Managed {
    /// Certificates in `store`, for an operator that is reached under `names`.
    /// Identities are of [`TRUST_DOMAIN`].
    pub fn new(store: Arc<dyn SecretStore>, names: Vec<String>) -> Self {
        Self {
            store,
            names,
            trust_domain: TRUST_DOMAIN.to_owned(),
            publisher: None,
        }
    }

    /// Also publishes the authority's certificate, for nodes to check the
    /// operator's by.
    #[must_use]
    pub fn with_publisher(mut self, publisher: Arc<dyn CaPublisher>) -> Self {
        self.publisher = Some(publisher);
        self
    }

    /// With identities of another trust domain.
    #[must_use]
    pub fn with_trust_domain(mut self, trust_domain: String) -> Self {
        self.trust_domain = trust_domain;
        self
    }

    /// The operator's own certificate, as the Secret has it; `None` when there
    /// is none yet.
    ///
    /// # Errors
    /// When the Secret cannot be read, or is not complete.
    pub async fn server(&self) -> Result<Option<Bundle>, TlsError> {
        match self.store.read(SERVER_SECRET).await? {
            Some(data) => bundle(SERVER_SECRET, &data).map(Some),
            None => Ok(None),
        }
    }

    /// Makes what is missing and renews what is due at `now`, in seconds since
    /// 1970. Gives the operator's own certificate. Safe to be called by several
    /// at once: all end with the same authority.
    ///
    /// # Errors
    /// When a Secret cannot be read or written. An authority that cannot be
    /// used is left alone, for nodes may trust it.
    pub async fn ensure(&self, now: u64) -> Result<Bundle, TlsError> {
        let authority = self.authority(now).await?;
        let server = Order {
            purpose: Purpose::Server,
            identity: None,
            names: self.names.clone(),
            valid: VALID,
        };
        let node = self.order(&FleetName::new("default"), None, Vec::new());
        self.leaf(NODE_SECRET, &authority, &node, now).await?;
        self.leaf(SERVER_SECRET, &authority, &server, now).await
    }

    /// A certificate for nodes elsewhere: of one node, or of all of a fleet.
    /// `names` are additional names of the certificate.
    ///
    /// # Errors
    /// As for `ensure`.
    pub async fn issue(
        &self,
        now: u64,
        fleet: &FleetName,
        node: Option<NodeName>,
        names: Vec<String>,
    ) -> Result<Bundle, TlsError> {
        let authority = self.authority(now).await?;
        let issued = authority.issue(now, &self.order(fleet, node, names))?;
        Ok(issued.with(&authority))
    }

    /// A certificate of one node of a fleet, for the key that it has made
    /// itself. In PEM; valid for a day from `now`.
    ///
    /// # Errors
    /// When there is no authority yet, or it cannot be used.
    pub async fn sign(
        &self,
        now: u64,
        fleet: &FleetName,
        node: &NodeName,
        key: &RequestedKey,
    ) -> Result<String, TlsError> {
        let Some(data) = self.store.read(CA_SECRET).await? else {
            return Err(TlsError::Secret {
                name: CA_SECRET.to_owned(),
                message: "it is not there yet; the replica that leads makes it".to_owned(),
            });
        };
        let order = Order {
            valid: ENROLLED,
            ..self.order(fleet, Some(node.clone()), Vec::new())
        };
        authority_in(&data)?.sign(now, &order, key)
    }

    /// The authority, which is made when there is none.
    async fn authority(&self, now: u64) -> Result<Authority, TlsError> {
        for _ in 0..ROUNDS {
            if let Some(data) = self.store.read(CA_SECRET).await? {
                return authority_in(&data);
            }
            let (authority, key) = Authority::create(now)?;
            let entries = [
                (CERTIFICATE.to_owned(), authority.certificate().to_owned()),
                (KEY.to_owned(), key),
            ];
            let data = SecretData {
                entries: entries.into(),
                version: None,
            };
            if self.store.write(CA_SECRET, data).await? {
                tracing::info!(secret = CA_SECRET, "made a certificate authority");
                return Ok(authority);
            }
        }
        Err(contended(CA_SECRET))
    }

    /// The certificate in a Secret, which is made or renewed when need be.
    async fn leaf(
        &self,
        name: &str,
        authority: &Authority,
        order: &Order,
        now: u64,
    ) -> Result<Bundle, TlsError> {
        for _ in 0..ROUNDS {
            let found = self.store.read(name).await?;
            let usable = found.as_ref().and_then(|data| bundle(name, data).ok());
            if let Some(bundle) = usable.filter(|bundle| is_good(bundle, authority, order, now)) {
                return Ok(bundle);
            }
            let bundle = authority.issue(now, order)?.with(authority);
            let entries = [
                (CA.to_owned(), bundle.ca.clone()),
                (CERTIFICATE.to_owned(), bundle.certificate.clone()),
                (KEY.to_owned(), bundle.key.clone()),
            ];
            let data = SecretData {
                entries: entries.into(),
                version: found.and_then(|data| data.version),
            };
            if self.store.write(name, data).await? {
                tracing::info!(secret = name, "issued a certificate");
                return Ok(bundle);
            }
        }
        Err(contended(name))
    }

    /// Waits until there is a certificate for the operator, which this replica
    /// makes when `leading` says that it leads.
    pub async fn obtain(&self, leading: &mut watch::Receiver<bool>) -> ServerTls {
        let mut said = None;
        loop {
            let lead = *leading.borrow_and_update();
            let found = self.look(lead).await;
            let usable = found.and_then(|found| found.as_ref().map(ServerTls::new).transpose());
            let error = match usable {
                Ok(Some(tls)) => return tls,
                Ok(None) => None,
                Err(error) => Some(error.to_string()),
            };
            if let Some(error) = error.as_ref().filter(|_| error != said) {
                tracing::error!(error, "there is no certificate yet; trying until there is");
            }
            said = error;
            tokio::select! {
                () = tokio::time::sleep(LOOK_SOON) => {}
                _ = leading.changed() => {}
            }
        }
    }

    /// Keeps certificates fresh until `shutdown`.
    pub async fn maintain(
        &self,
        tls: &ServerTls,
        mut leading: watch::Receiver<bool>,
        shutdown: &CancellationToken,
    ) {
        let mut presented = None;
        loop {
            let lead = *leading.borrow_and_update();
            let looked = self.look(lead).await.and_then(|found| {
                if let Some(bundle) = found.filter(|bundle| presented.as_ref() != Some(bundle)) {
                    tls.replace(&bundle)?;
                    presented = Some(bundle);
                }
                Ok(())
            });
            if let Err(error) = looked {
                tracing::error!(%error, "cannot renew certificates, the former ones stay");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                Ok(()) = leading.changed() => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    async fn look(&self, lead: bool) -> Result<Option<Bundle>, TlsError> {
        if !lead {
            return self.server().await;
        }
        let bundle = self.ensure(unix_seconds()).await?;
        self.publish(&bundle.ca).await;
        Ok(Some(bundle))
    }

    /// Nodes that have certificates do without it, so that a failure holds
    /// nobody up.
    async fn publish(&self, ca: &str) {
        let Some(publisher) = &self.publisher else {
            return;
        };
        if let Err(error) = publisher.publish(ca).await {
            tracing::error!(%error, "cannot publish the authority; trying again");
        }
    }

    /// The certificate of a node, or of all nodes of a fleet.
    fn order(&self, fleet: &FleetName, node: Option<NodeName>, names: Vec<String>) -> Order {
        Order {
            purpose: Purpose::Client,
            identity: Some(Identity {
                trust_domain: self.trust_domain.clone(),
                fleet: fleet.clone(),
                node,
            }),
            names,
            valid: VALID,
        }
    }
}

/// Whether a certificate is of this authority, for all that is ordered, and
/// not due to be renewed.
fn is_good(bundle: &Bundle, authority: &Authority, order: &Order, now: u64) -> bool {
    let good = with_first(&bundle.certificate, |certificate| {
        let validity = certificate.validity();
        let (from, to) = (
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        );
        let due = from + (to - from) / 3 * 2;
        i64::try_from(now).is_ok_and(|now| now < due) && has_names(certificate, order)
    });
    bundle.ca == authority.certificate() && good.unwrap_or(false)
}

fn has_names(certificate: &x509_parser::certificate::X509Certificate<'_>, order: &Order) -> bool {
    use x509_parser::extensions::GeneralName;
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return order.names.is_empty() && order.identity.is_none();
    };
    let names = &names.value.general_names;
    let uri = order.identity.as_ref().map(ToString::to_string);
    let has_uri = uri.is_none_or(|uri| names.contains(&GeneralName::URI(&uri)));
    let mut ordered = order.names.iter();
    has_uri
        && ordered.all(|name| match name.parse::<std::net::IpAddr>() {
            Ok(std::net::IpAddr::V4(v4)) => names.contains(&GeneralName::IPAddress(&v4.octets())),
            Ok(std::net::IpAddr::V6(v6)) => names.contains(&GeneralName::IPAddress(&v6.octets())),
            Err(_) => names.contains(&GeneralName::DNSName(name)),
        })
}

fn authority_in(data: &SecretData) -> Result<Authority, TlsError> {
    let certificate = entry(CA_SECRET, data, CERTIFICATE)?;
    let key = entry(CA_SECRET, data, KEY)?;
    Authority::load(certificate, &key).map_err(|error| TlsError::Secret {
        name: CA_SECRET.to_owned(),
        message: format!(
            "{error}; correct it, or delete it together with {SERVER_SECRET} and {NODE_SECRET} to begin with a new authority"
        ),
    })
}

fn bundle(name: &str, data: &SecretData) -> Result<Bundle, TlsError> {
    Ok(Bundle {
        ca: entry(name, data, CA)?,
        certificate: entry(name, data, CERTIFICATE)?,
        key: entry(name, data, KEY)?,
    })
}

fn entry(secret: &str, data: &SecretData, key: &str) -> Result<String, TlsError> {
    let entry = data.entries.get(key).cloned();
    entry.ok_or_else(|| TlsError::Secret {
        name: secret.to_owned(),
        message: format!("it has no entry {key}"),
    })
}

fn contended(name: &str) -> TlsError {
    TlsError::Secret {
        name: name.to_owned(),
        message: format!("others wrote it {ROUNDS} times while this was tried"),
    }
}

fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::MemorySecrets;

    const NOW: u64 = 1_790_000_000;
    const DAY: u64 = 24 * 3600;

    fn managed(store: &MemorySecrets, names: &[&str]) -> Managed {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Managed::new(Arc::new(store.clone()), names)
    }

    async fn entry_of(store: &MemorySecrets, secret: &str, key: &str) -> String {
        let data = store.read(secret).await.expect("memory").expect(secret);
        data.entries[key].clone()
    }

    #[tokio::test]
    async fn certificates_are_made_once_and_renewed_after_two_thirds() {
        let store = MemorySecrets::default();
        let managed = managed(&store, &["operator.example.com"]);
        assert_eq!(managed.server().await.expect("readable"), None);
        let first = managed.ensure(NOW).await.expect("made");
        assert_eq!(managed.ensure(NOW + 59 * DAY).await.expect("kept"), first);
        let renewed = managed.ensure(NOW + 61 * DAY).await.expect("renewed");
        assert_ne!(renewed.certificate, first.certificate);
        assert_eq!(renewed.ca, first.ca, "the authority stays");
        assert_eq!(managed.server().await.expect("readable"), Some(renewed));
    }

    #[tokio::test]
    async fn a_new_name_of_the_operator_is_in_a_new_certificate() {
        let store = MemorySecrets::default();
        let names = ["operator.example.com", "192.0.2.1", "2001:db8::1"];
        let former = managed(&store, &names[..1])
            .ensure(NOW)
            .await
            .expect("made");
        let managed = managed(&store, &names);
        let with_addresses = managed.ensure(NOW).await.expect("made anew");
        assert_ne!(with_addresses, former);
        assert_eq!(managed.ensure(NOW).await.expect("kept"), with_addresses);
    }

    #[tokio::test]
    async fn several_at_once_end_with_one_authority() {
        let store = MemorySecrets::default();
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let managed = managed(&store, &["operator.example.com"]);
                tokio::spawn(async move { managed.ensure(NOW).await })
            })
            .collect();
        let ca = {
            let mut all = Vec::new();
            for task in tasks {
                all.push(task.await.expect("no panic").expect("made").ca);
            }
            all.dedup();
            assert_eq!(all.len(), 1, "one authority");
            all.remove(0)
        };
        for secret in [SERVER_SECRET, NODE_SECRET] {
            assert_eq!(entry_of(&store, secret, CA).await, ca);
        }
    }

    #[tokio::test]
    async fn an_authority_that_cannot_be_used_is_named_and_left_alone() {
        let store = MemorySecrets::default();
        let entries = [(CERTIFICATE.to_owned(), "nonsense".to_owned())];
        let broken = SecretData {
            entries: entries.into(),
            version: None,
        };
        assert!(store.write(CA_SECRET, broken).await.expect("memory"));
        let error = managed(&store, &[])
            .ensure(NOW)
            .await
            .expect_err("unusable");
        assert!(error.to_string().contains(CA_SECRET), "{error}");
        assert_eq!(entry_of(&store, CA_SECRET, CERTIFICATE).await, "nonsense");
    }

    /// What was published last; nothing can be while it is `None`.
    struct Board(std::sync::Mutex<Option<String>>);

    impl CaPublisher for Board {
        fn publish<'a>(
            &'a self,
            ca: &'a str,
        ) -> futures::future::BoxFuture<'a, Result<(), TlsError>> {
            Box::pin(async move {
                match self.0.lock().expect("not poisoned").as_mut() {
                    Some(shown) => {
                        ca.clone_into(shown);
                        Ok(())
                    }
                    None => Err(TlsError::ConfigMap {
                        name: "board".to_owned(),
                        message: "away".to_owned(),
                    }),
                }
            })
        }
    }

    #[tokio::test]
    async fn who_leads_publishes_the_authority_also_a_new_one() {
        let store = MemorySecrets::default();
        let board = Arc::new(Board(std::sync::Mutex::new(Some(String::new()))));
        let shown = || board.0.lock().expect("not poisoned").clone();
        let managed = managed(&store, &["operator.example.com"]);
        let managed = managed.with_publisher(Arc::clone(&board) as _);
        assert_eq!(managed.look(false).await.expect("readable"), None);
        assert_eq!(shown().as_deref(), Some(""), "who follows writes nothing");
        let first = managed.look(true).await.expect("made").expect("leads");
        assert_eq!(shown(), Some(first.ca.clone()));
        store.forget(CA_SECRET);
        let second = managed.look(true).await.expect("made").expect("leads");
        assert_ne!(second.ca, first.ca);
        assert_eq!(shown(), Some(second.ca.clone()));
        // Certificates do not wait for it.
        *board.0.lock().expect("not poisoned") = None;
        assert_eq!(managed.look(true).await.expect("kept"), Some(second));
    }

    #[tokio::test]
    async fn a_key_is_signed_by_the_authority_that_is_there() {
        let store = MemorySecrets::default();
        let managed = managed(&store, &[]);
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::default();
        let request = params.serialize_request(&key).expect("a request");
        let key = RequestedKey::read(request.der()).expect("a proper one");
        let (fleet, node) = (FleetName::new("edge"), NodeName::new("dns-1"));
        let error = managed.sign(NOW, &fleet, &node, &key).await;
        let error = error.expect_err("none is made for this").to_string();
        assert!(error.contains(CA_SECRET), "{error}");
        managed.ensure(NOW).await.expect("made");
        let pem = managed
            .sign(NOW, &fleet, &node, &key)
            .await
            .expect("signed");
        let chain = crate::tls::chain(&pem).expect("a chain");
        let identity = Identity::of_certificate(&chain[0]).expect("an identity");
        assert_eq!(
            identity.to_string(),
            "spiffe://watershed/fleet/edge/node/dns-1"
        );
        let day = i64::try_from(NOW + DAY).expect("a date");
        assert_eq!(crate::tls::expiry(&pem).expect("a date"), day);
    }

    #[tokio::test]
    async fn a_certificate_for_one_node_names_it() {
        let store = MemorySecrets::default();
        let fleet = FleetName::new("edge");
        let node = Some(NodeName::new("dns-1"));
        let bundle = managed(&store, &[])
            .issue(NOW, &fleet, node, Vec::new())
            .await
            .expect("issued");
        let chain = crate::tls::chain(&bundle.certificate).expect("a chain");
        let identity = Identity::of_certificate(&chain[0]).expect("an identity");
        assert_eq!(
            identity.to_string(),
            "spiffe://watershed/fleet/edge/node/dns-1"
        );
    }
}
