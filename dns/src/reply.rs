//! A reply before it is encoded.

use std::borrow::Cow;

use hickory_proto::op::ResponseCode;
use smallvec::SmallVec;
use watershed_policy::{Decision, Scope};
use watershed_snapshot::{OwnerName, PolicyVersion, RrSet};

/// Response codes that this server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rcode {
    /// Success, which includes NODATA and referrals.
    NoError,
    /// The query is malformed.
    FormErr,
    /// An alias target could not be resolved, or the reply cannot be encoded.
    ServFail,
    /// The name does not exist.
    NxDomain,
    /// An opcode or query type that is not implemented.
    NotImp,
    /// A name, class or query type that is not served.
    Refused,
    /// An unknown EDNS version (RFC 6891 section 6.1.3).
    BadVers,
}

impl Rcode {
    /// The mnemonic of the IANA registry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoError => "NOERROR",
            Self::FormErr => "FORMERR",
            Self::ServFail => "SERVFAIL",
            Self::NxDomain => "NXDOMAIN",
            Self::NotImp => "NOTIMP",
            Self::Refused => "REFUSED",
            Self::BadVers => "BADVERS",
        }
    }

    /// The number of the IANA registry.
    pub(crate) fn number(self) -> u16 {
        match self {
            Self::NoError => 0,
            Self::FormErr => 1,
            Self::ServFail => 2,
            Self::NxDomain => 3,
            Self::NotImp => 4,
            Self::Refused => 5,
            Self::BadVers => 16,
        }
    }
}

impl From<Rcode> for ResponseCode {
    fn from(rcode: Rcode) -> Self {
        match rcode {
            Rcode::NoError => Self::NoError,
            Rcode::FormErr => Self::FormErr,
            Rcode::ServFail => Self::ServFail,
            Rcode::NxDomain => Self::NXDomain,
            Rcode::NotImp => Self::NotImp,
            Rcode::Refused => Self::Refused,
            Rcode::BadVers => Self::BADVERS,
        }
    }
}

/// What a query gets; it borrows from the state that it was made of.
#[derive(Clone, Debug)]
pub struct Reply<'s> {
    /// Response code.
    pub rcode: Rcode,
    /// The AA bit.
    pub authoritative: bool,
    /// Answer section.
    pub answers: Vec<Records<'s>>,
    /// Authority section.
    pub authorities: Vec<Records<'s>>,
    /// Additional section, but for OPT.
    pub additionals: Vec<Records<'s>>,
    /// For which clients the reply holds; 0 when it depended on no client.
    pub scope: Scope,
    /// Apex of the zone in which the name was found.
    pub zone: Option<&'s OwnerName>,
    /// The policy decisions in it, in the order taken.
    pub decided: SmallVec<[Decided<'s>; 1]>,
}

/// The records of one type at a name, as they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records<'s> {
    /// Owner name.
    pub owner: OwnerName,
    /// IANA type number.
    pub record_type: u16,
    /// Seconds.
    pub ttl: u32,
    /// Record data in uncompressed wire form.
    pub rdata: Vec<Cow<'s, [u8]>>,
}

/// A decision of a policy that went into a reply.
#[derive(Clone, Debug)]
pub struct Decided<'s> {
    /// Which policy.
    pub version: &'s PolicyVersion,
    /// What it decided.
    pub decision: Decision,
}

impl<'s> Reply<'s> {
    /// A reply without data.
    pub(crate) fn error(rcode: Rcode) -> Self {
        Self {
            rcode,
            authoritative: false,
            answers: Vec::new(),
            authorities: Vec::new(),
            additionals: Vec::new(),
            scope: Scope::default(),
            zone: None,
            decided: SmallVec::new(),
        }
    }

    /// The failure of a reply under way. Scope, zone and decisions stay: they
    /// say for whom and why it failed.
    pub(crate) fn failed(self) -> Reply<'s> {
        Self {
            scope: self.scope,
            zone: self.zone,
            decided: self.decided,
            ..Self::error(Rcode::ServFail)
        }
    }

    /// Makes the scope hold for another decision besides.
    pub(crate) fn narrow(&mut self, scope: Scope) {
        self.scope.ipv4 = self.scope.ipv4.max(scope.ipv4);
        self.scope.ipv6 = self.scope.ipv6.max(scope.ipv6);
    }
}

impl<'s> Records<'s> {
    /// Static data as the records of `owner`.
    pub(crate) fn of(owner: OwnerName, rrset: &'s RrSet) -> Self {
        Self {
            owner,
            record_type: rrset.record_type,
            ttl: rrset.ttl,
            rdata: rrset
                .rdata
                .iter()
                .map(|data| Cow::Borrowed(&**data))
                .collect(),
        }
    }
}
