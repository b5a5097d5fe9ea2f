//! Response rate limiting: how many answers a network gets by UDP.
//!
//! The source address of a datagram can be forged, and then the answer goes to
//! somebody who did not ask (RFC 5358). So answers to one network that are alike
//! are counted together, and what is over the limit is dropped, or answered so
//! that a genuine client comes again by TCP, which proves its address. TCP is
//! not limited.
//!
//! * `account`: which answers are counted together.
//! * `table`: the counting, in memory that never grows.

mod account;
mod table;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::time::Instant;

use ipnet::IpNet;

pub(crate) use account::{Account, Answered};
pub(crate) use table::Time;

use crate::handler::Draw;
use crate::reply::Rcode;
use crate::writer::Limit;
use account::Network;
use table::Table;

/// How many answers that are alike one network gets by UDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Answers a second, and as many at once after a second without any; 0
    /// means no limit. Times are counted in whole microseconds, so more than
    /// some thousands are only roughly kept to.
    pub per_second: u32,
    /// Of the answers over the limit one in so many is sent without records,
    /// with TC set; 1 means all of them, 0 none. The others are dropped.
    pub slip: u8,
    /// Networks that are not limited.
    pub exempt: Vec<IpNet>,
}

impl Default for RateLimit {
    /// No limit: behind a load balancer that hides who asks, it would hit
    /// everybody together.
    fn default() -> Self {
        Self {
            per_second: 0,
            slip: 1,
            exempt: Vec::new(),
        }
    }
}

/// What becomes of an answer over the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// It is sent without records, so that the client asks again by TCP.
    /// Errors, which have none, are sent as they are.
    Slipped,
    /// It is not sent.
    Dropped,
}

impl Limited {
    /// Its name in metrics and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slipped => "slipped",
            Self::Dropped => "dropped",
        }
    }

    /// How long a reply that is sent may be, where `usual` holds for others.
    pub(crate) fn length(limited: Option<Self>, rcode: Rcode, usual: u16) -> Limit {
        match (limited, rcode) {
            // Nothing but the question fits.
            (Some(_), Rcode::NoError | Rcode::NxDomain) => Limit::Truncate(0),
            _ => Limit::Truncate(usual),
        }
    }
}

/// Limits the answers of all threads together.
pub(crate) struct RateLimiter {
    table: Table,
    /// Its secret keeps others from choosing names that meet in the table.
    hash: RandomState,
    slip: u64,
    exempt: Vec<IpNet>,
    start: Instant,
}

impl RateLimiter {
    /// `None` when nothing is to be limited.
    pub(crate) fn new(options: &RateLimit) -> Option<Self> {
        (options.per_second > 0).then(|| Self {
            table: Table::new(options.per_second),
            hash: RandomState::new(),
            slip: options.slip.into(),
            exempt: options.exempt.clone(),
            start: Instant::now(),
        })
    }

    /// The time of its clock.
    pub(crate) fn now(&self) -> Time {
        Time::after(self.start.elapsed())
    }

    /// What holds for a datagram from `source`; `None` when it is exempt.
    pub(crate) fn at(&self, source: IpAddr, now: Time) -> Option<Limiting<'_>> {
        let source = source.to_canonical();
        let exempt = self.exempt.iter().any(|network| network.contains(&source));
        (!exempt).then(|| Limiting {
            limiter: self,
            network: Network::of(source),
            now,
        })
    }
}

/// The limit, for one datagram.
#[derive(Clone, Copy)]
pub(crate) struct Limiting<'l> {
    limiter: &'l RateLimiter,
    network: Network,
    now: Time,
}

impl Limiting<'_> {
    /// Counts an answer; what becomes of it when it is over the limit.
    pub(crate) fn count(self, account: &Account<'_>, draw: Draw<'_>) -> Option<Limited> {
        let mut hasher = self.limiter.hash.build_hasher();
        account.hash_with(self.network, &mut hasher);
        if self.limiter.table.take(hasher.finish(), self.now) {
            return None;
        }
        // At random: who floods cannot have the others dropped by being in step.
        let slips = match self.limiter.slip {
            0 => false,
            1 => true,
            slip => draw(slip) == 0,
        };
        Some(if slips {
            Limited::Slipped
        } else {
            Limited::Dropped
        })
    }
}
