//! Which accounts may enrol nodes, and of which fleets.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::fleet::FleetName;

/// What comes before the namespace in the user name of a service account.
const USER_PREFIX: &str = "system:serviceaccount:";

/// The longest name of an object of Kubernetes.
const LONGEST_NAME: usize = 253;

/// A service account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Tokens of an account may enrol nodes of a fleet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permit {
    /// Whose tokens.
    pub account: Account,
    /// Nodes of which fleet.
    pub fleet: FleetName,
}

/// All that is permitted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permits(BTreeSet<Permit>);

impl Account {
    /// The account of a user of Kubernetes; `None` when it is no service
    /// account.
    pub fn of_user(user: &str) -> Option<Self> {
        let (namespace, name) = user.strip_prefix(USER_PREFIX)?.split_once(':')?;
        Some(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl Permits {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The permit by which `account` may enrol nodes of `fleet`.
    pub fn find(&self, account: &Account, fleet: &str) -> Option<&Permit> {
        self.of(account)
            .find(|permit| permit.fleet.as_str() == fleet)
    }

    /// What is permitted to `account`.
    pub fn of(&self, account: &Account) -> impl Iterator<Item = &Permit> {
        self.0
            .iter()
            .filter(move |permit| permit.account == *account)
    }
}

impl FromIterator<Permit> for Permits {
    fn from_iter<I: IntoIterator<Item = Permit>>(permits: I) -> Self {
        Self(permits.into_iter().collect())
    }
}

impl FromStr for Permit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('=').and_then(|(account, fleet)| {
            let (namespace, name) = account.split_once('/')?;
            let named = [namespace, name, fleet].into_iter().all(is_name);
            named.then(|| Self {
                account: Account {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                },
                fleet: FleetName::new(fleet),
            })
        });
        parsed.ok_or_else(|| {
            format!(
                "`{text}` is not NAMESPACE/SERVICEACCOUNT=FLEET, such as watershed-system/watershed-dns=default"
            )
        })
    }
}

/// Whether it can name an object of Kubernetes (RFC 1123).
fn is_name(text: &str) -> bool {
    let is_part = |part: &str| {
        let mut octets = part.bytes();
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && octets.all(|octet| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    text.len() <= LONGEST_NAME && text.split('.').all(is_part)
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.account, self.fleet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_read_back() {
        for text in ["watershed-system/watershed-dns=default", "a/b.c=edge-1"] {
            let permit: Permit = text.parse().expect(text);
            assert_eq!(permit.to_string(), text);
        }
        for text in [
            "",
            "watershed-dns=default",
            "a/b",
            "a/b=",
            "/b=c",
            "a/=c",
            "a/b/c=d",
            "a/b=c=d",
            "a/b=C",
            "a/b=c/node/d",
            "a/-b=c",
            "a/b=c.",
        ] {
            let error = text.parse::<Permit>().expect_err(text);
            assert!(error.contains("NAMESPACE/SERVICEACCOUNT=FLEET"), "{error}");
        }
    }

    #[test]
    fn users_that_are_no_service_accounts_are_none() {
        let account = Account::of_user("system:serviceaccount:shop:web").expect("an account");
        assert_eq!(account.to_string(), "shop/web");
        for user in [
            "alice",
            "system:node:a",
            "system:serviceaccount:shop",
            "system:admin",
        ] {
            assert_eq!(Account::of_user(user), None, "{user}");
        }
    }
}
