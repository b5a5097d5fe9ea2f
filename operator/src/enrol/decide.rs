//! Whether a token is good for what a node wants to be.

use k8s_openapi::api::authentication::v1::{TokenReviewStatus, UserInfo};
use watershed_proto::ENROL_AUDIENCE;

use super::accounts::{Account, Permits};
use crate::fleet::{FleetName, NodeName};

/// Where a token says which pod it is bound to.
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";

/// What a node says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// The name of its fleet.
    pub fleet: &'a str,
    /// Its own name.
    pub node: &'a str,
}

/// A node that is to have a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// By whose token.
    pub account: Account,
    /// In which fleet.
    pub fleet: FleetName,
    /// As which node.
    pub node: NodeName,
}

/// Why a node gets no certificate, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The API server does not know the token.
    #[error(
        "the API server does not accept the token ({0}): it must be a token of a service account of the operator's cluster, for the audience {ENROL_AUDIENCE}, that has not expired"
    )]
    Token(String),
    /// It is a token for something else.
    #[error("the token is not for the audience {ENROL_AUDIENCE}: project one that is")]
    Audience,
    /// It is somebody else's.
    #[error("the token is of {0}, which is no service account")]
    User(String),
    /// Nobody has permitted it.
    #[error(
        "service account {account} may not enrol nodes of fleet {fleet}{others}: start the operator with --enrol {account}={fleet} if it is to"
    )]
    Account {
        /// Whose token it is.
        account: Account,
        /// Which fleet the node named.
        fleet: String,
        /// The fleets that it may, in words.
        others: String,
    },
    /// It could be any pod's.
    #[error(
        "the token of service account {0} is not bound to a pod: take one from a projected volume of the pod"
    )]
    Unbound(Account),
    /// It is another pod's.
    #[error(
        "the node says that it is {said}, its token is of the pod {pod}: start it with --node {pod}"
    )]
    Node {
        /// By the node.
        said: String,
        /// In the token.
        pod: String,
    },
}

/// Decides on a claim, by what the API server says of the token.
///
/// # Errors
/// When the token is not good for it.
pub fn decide(
    permits: &Permits,
    review: &TokenReviewStatus,
    claim: Claim<'_>,
) -> Result<Admitted, Refusal> {
    let user = authenticated(review)?;
    let name = user.username.as_deref().unwrap_or_default();
    let account = Account::of_user(name).ok_or_else(|| Refusal::User(name.to_owned()))?;
    let Some(permit) = permits.find(&account, claim.fleet) else {
        return Err(Refusal::Account {
            fleet: claim.fleet.to_owned(),
            others: others(permits, &account),
            account,
        });
    };
    let Some(pod) = pod(user) else {
        return Err(Refusal::Unbound(account));
    };
    if pod != claim.node {
        return Err(Refusal::Node {
            said: claim.node.to_owned(),
            pod: pod.to_owned(),
        });
    }
    Ok(Admitted {
        fleet: permit.fleet.clone(),
        node: NodeName::new(pod),
        account,
    })
}

/// Whose token it is. An API server that does not heed audiences names none,
/// and vouches only for tokens for itself.
fn authenticated(review: &TokenReviewStatus) -> Result<&UserInfo, Refusal> {
    let user = review.user.as_ref();
    let Some(user) = user.filter(|_| review.authenticated == Some(true)) else {
        let reason = review.error.clone().filter(|reason| !reason.is_empty());
        let reason = reason.unwrap_or_else(|| "it gives no reason".to_owned());
        return Err(Refusal::Token(reason));
    };
    let mut audiences = review.audiences.iter().flatten();
    if audiences.any(|audience| audience == ENROL_AUDIENCE) {
        Ok(user)
    } else {
        Err(Refusal::Audience)
    }
}

fn pod(user: &UserInfo) -> Option<&str> {
    match user.extra.as_ref()?.get(POD_NAME)?.as_slice() {
        [pod] if !pod.is_empty() => Some(pod),
        _ => None,
    }
}

fn others(permits: &Permits, account: &Account) -> String {
    let fleets: Vec<&str> = permits
        .of(account)
        .map(|permit| permit.fleet.as_str())
        .collect();
    if fleets.is_empty() {
        return String::new();
    }
    format!(", only of {}", fleets.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIM: Claim<'static> = Claim {
        fleet: "default",
        node: "dns-0",
    };

    fn permits() -> Permits {
        let all = ["home/dns=default", "home/dns=spare", "far/dns=edge"];
        all.iter().map(|text| text.parse().expect(text)).collect()
    }

    /// The token of the pod `dns-0` of the account `home/dns`.
    fn good() -> TokenReviewStatus {
        let extra = [(POD_NAME.to_owned(), vec!["dns-0".to_owned()])];
        TokenReviewStatus {
            authenticated: Some(true),
            audiences: Some(vec![ENROL_AUDIENCE.to_owned()]),
            user: Some(UserInfo {
                username: Some("system:serviceaccount:home:dns".to_owned()),
                extra: Some(extra.into()),
                ..UserInfo::default()
            }),
            error: None,
        }
    }

    fn with(change: impl FnOnce(&mut TokenReviewStatus)) -> TokenReviewStatus {
        let mut review = good();
        change(&mut review);
        review
    }

    fn with_user(change: impl FnOnce(&mut UserInfo)) -> TokenReviewStatus {
        with(|review| change(review.user.as_mut().expect("a user")))
    }

    fn refusal(review: &TokenReviewStatus, claim: Claim<'_>) -> String {
        let refused = decide(&permits(), review, claim).expect_err("refused");
        refused.to_string()
    }

    #[test]
    fn a_node_is_the_pod_of_its_token_in_a_fleet_of_its_account() {
        for fleet in ["default", "spare"] {
            let claim = Claim { fleet, ..CLAIM };
            let admitted = decide(&permits(), &good(), claim).expect("admitted");
            assert_eq!(admitted.account.to_string(), "home/dns");
            assert_eq!(admitted.fleet.as_str(), fleet);
            assert_eq!(admitted.node.as_str(), "dns-0");
        }
    }

    #[test]
    fn a_token_that_the_api_server_does_not_accept_is_told_with_its_reason() {
        let review = with(|review| {
            review.authenticated = Some(false);
            review.error = Some("token has expired".to_owned());
        });
        let said = refusal(&review, CLAIM);
        assert!(said.contains("(token has expired)"), "{said}");
        let silent = TokenReviewStatus::default();
        assert!(refusal(&silent, CLAIM).contains("it gives no reason"));
        // Half an answer is none.
        let nobody = with(|review| review.user = None);
        assert!(refusal(&nobody, CLAIM).contains("does not accept"));
    }

    #[test]
    fn a_token_for_something_else_is_refused() {
        let other = with(|review| review.audiences = Some(vec!["vault".to_owned()]));
        let unaware = with(|review| review.audiences = None);
        for review in [other, unaware] {
            assert!(refusal(&review, CLAIM).contains("audience watershed-operator"));
        }
    }

    #[test]
    fn an_account_has_only_the_fleets_that_it_was_given() {
        let claim = Claim {
            fleet: "edge",
            ..CLAIM
        };
        let said = refusal(&good(), claim);
        let wanted = "service account home/dns may not enrol nodes of fleet edge, only of default, spare: start the operator with --enrol home/dns=edge";
        assert!(said.starts_with(wanted), "{said}");
        let stranger = with_user(|user| {
            user.username = Some("system:serviceaccount:shop:dns".to_owned());
        });
        let said = refusal(&stranger, CLAIM);
        assert!(said.contains("--enrol shop/dns=default"), "{said}");
        assert!(!said.contains("only of"), "{said}");
        let person = with_user(|user| user.username = Some("alice".to_owned()));
        assert!(refusal(&person, CLAIM).contains("alice, which is no service account"));
    }

    #[test]
    fn a_node_has_the_name_of_its_pod() {
        let claim = Claim {
            node: "dns-1",
            ..CLAIM
        };
        assert!(refusal(&good(), claim).contains("start it with --node dns-0"));
        let unbound = with_user(|user| user.extra = None);
        let ambiguous = with_user(|user| {
            let both = vec!["dns-0".to_owned(), "dns-1".to_owned()];
            user.extra = Some([(POD_NAME.to_owned(), both)].into());
        });
        let nameless = with_user(|user| {
            user.extra = Some([(POD_NAME.to_owned(), vec![String::new()])].into());
        });
        for review in [unbound, ambiguous, nameless] {
            assert!(refusal(&review, CLAIM).contains("not bound to a pod"));
        }
    }
}
