//! Answers that a policy decides.

use std::borrow::Cow;
use std::net::IpAddr;

use watershed_policy::{Value, View};
use watershed_snapshot::record_type::{A, AAAA, CNAME};
use watershed_snapshot::{Binding, OwnerName, Zone};

use super::{End, Walk};
use crate::reply::{Decided, Rcode, Records, Reply};

/// Record data collected for an answer.
#[derive(Default)]
struct Collected<'s> {
    rdata: Vec<Cow<'s, [u8]>>,
    /// The smallest TTL of the alias targets that went in.
    ttl: Option<u32>,
    /// An alias target of which nothing is known.
    unresolved: bool,
}

impl<'s> Collected<'s> {
    /// An RRset is a set: endpoints may share a value.
    fn add(&mut self, data: Cow<'s, [u8]>) {
        if !self.rdata.contains(&data) {
            self.rdata.push(data);
        }
    }

    fn limit_ttl(&mut self, ttl: u32) {
        self.ttl = Some(self.ttl.map_or(ttl, |present| present.min(ttl)));
    }
}

impl<'s> Walk<'_, 's> {
    /// Adds the answer of the policy bound at `name` for `record_type`: the
    /// type asked, or CNAME.
    pub(super) fn decide(
        &mut self,
        zone: &'s Zone,
        name: &OwnerName,
        binding: &'s Binding,
        record_type: u16,
    ) -> End {
        let collected = self.collect(binding, record_type);
        if collected.rdata.is_empty() {
            if collected.unresolved {
                return End::Failed;
            }
            self.negative(zone);
            return End::NoData;
        }
        let ttl = self.state.ttl_of(binding);
        self.reply.answers.push(Records {
            owner: name.clone(),
            record_type,
            ttl: collected.ttl.map_or(ttl, |of_alias| of_alias.min(ttl)),
            rdata: collected.rdata,
        });
        End::Answered
    }

    fn collect(&mut self, binding: &'s Binding, record_type: u16) -> Collected<'s> {
        let policy = &binding.version.policy;
        let view = View {
            client: self.client.get(policy),
            health: &self.state.health_of(binding),
            latency: self.state.latency_source(),
        };
        let decision = policy.decide(record_type, &view, &mut self.draw, &mut ());
        self.reply.narrow(decision.scope);
        let chosen = decision.endpoints.clone();
        self.reply.decided.push(Decided {
            version: &binding.version,
            decision,
        });
        let mut collected = Collected::default();
        for endpoint in chosen {
            for value in policy.endpoint(endpoint).values_of(record_type) {
                self.add_value(value, record_type, &mut collected);
            }
        }
        if record_type == CNAME {
            // A name has one canonical name.
            collected.rdata.truncate(1);
        }
        collected
    }

    fn add_value(&mut self, value: &'s Value, record_type: u16, collected: &mut Collected<'s>) {
        match value {
            Value::Ipv4(address) => collected.add(address.octets().to_vec().into()),
            Value::Ipv6(address) => collected.add(address.octets().to_vec().into()),
            Value::Rdata { wire, .. } => collected.add(Cow::Borrowed(wire)),
            Value::Hostname(text) => match OwnerName::from_text(text) {
                Ok(host) if record_type == CNAME => {
                    collected.add(host.as_wire().to_vec().into());
                }
                Ok(host) => self.add_alias(&host, record_type, collected),
                Err(_) => collected.unresolved = true,
            },
        }
    }

    /// Adds the addresses of an alias target: from the zones served here
    /// where they have it, otherwise from what the node knows of other hosts.
    fn add_alias(&mut self, host: &OwnerName, record_type: u16, collected: &mut Collected<'s>) {
        let (end, reply) = self.walk_aside(host, record_type);
        self.reply.narrow(reply.scope);
        self.reply.decided.extend(reply.decided);
        match end {
            End::Answered => {
                for records in reply.answers {
                    collected.limit_ttl(records.ttl);
                    if records.record_type == record_type {
                        records
                            .rdata
                            .into_iter()
                            .for_each(|data| collected.add(data));
                    }
                }
            }
            // The target is ours and has no address of this family.
            End::NoData | End::NoName => {}
            End::Outside(host) | End::Delegated(host) => {
                self.add_foreign(&host, record_type, collected);
            }
            End::Endless | End::Failed => collected.unresolved = true,
        }
    }

    /// Looks `host` up for the same client without touching the reply.
    fn walk_aside(&mut self, host: &OwnerName, record_type: u16) -> (End, Reply<'s>) {
        let mut aside = Walk {
            state: self.state,
            record_type,
            client: self.client,
            draw: &mut *self.draw,
            lookups: &mut *self.lookups,
            reply: Reply::error(Rcode::NoError),
        };
        let end = aside.follow(host);
        (end, aside.reply)
    }

    fn add_foreign(&mut self, host: &OwnerName, record_type: u16, collected: &mut Collected<'s>) {
        let Some(addresses) = self.state.hostnames.addresses(host, record_type) else {
            tracing::debug!(%host, record_type, "no addresses known of an alias target");
            collected.unresolved = true;
            return;
        };
        for address in addresses {
            match address {
                IpAddr::V4(address) if record_type == A => {
                    collected.add(address.octets().to_vec().into());
                }
                IpAddr::V6(address) if record_type == AAAA => {
                    collected.add(address.octets().to_vec().into());
                }
                IpAddr::V4(_) | IpAddr::V6(_) => {}
            }
        }
    }
}
