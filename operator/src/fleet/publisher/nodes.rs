//! Nodes come and go.

use std::time::Instant;

use watershed_proto::{Hello, OLDEST_FORMAT, OperatorMessage};
use watershed_snapshot::Term;

use super::Publisher;
use super::node::{Knowledge, Link, Node, Rejection, Work};
use crate::fleet::event::Ending;
use crate::fleet::{NodeName, StreamId};

impl Publisher {
    pub(super) fn connect(&mut self, now: Instant, stream: StreamId, hello: Hello) {
        let name = NodeName::new(hello.node.clone());
        let formats = hello.formats.clone();
        let mut node = Node::new(now, stream, hello);
        if let Some(former) = self.nodes.remove(&name) {
            self.replace(&name, &former, &mut node);
        }
        self.streams.insert(stream, name.clone());
        self.identify(&mut node);
        if *formats.start() > self.config.newest_format || *formats.end() < OLDEST_FORMAT {
            let why = format!(
                "the node reads formats {} to {}, the operator writes {OLDEST_FORMAT} to {}: bring both to versions that have one in common",
                formats.start(),
                formats.end(),
                self.config.newest_format,
            );
            self.close(stream, why.clone());
            node.link = Link::Down {
                since: now,
                ending: Ending::Lost,
            };
            node.rejection = Some(Rejection::of_format(why));
        }
        self.nodes.insert(name, node);
        self.change();
    }

    /// A second stream of a node takes the place of the first. Being slow is
    /// not forgotten by it; a refusal is, when the program was started anew.
    fn replace(&mut self, name: &NodeName, former: &Node, node: &mut Node) {
        if let Link::Up { stream, .. } = former.link {
            let why = format!("another stream of node {name} has taken the place of this one");
            self.close(stream, why);
        }
        node.lagging = former.lagging;
        if former.hello.boot == node.hello.boot {
            node.rejection.clone_from(&former.rejection);
        }
    }

    /// Recognises what a node serves.
    pub(super) fn identify(&self, node: &mut Node) {
        let Some(held) = node.held else {
            return;
        };
        if self.offers.set_of(held).is_some() {
            node.lineage = Some(held.id);
        }
        if let Some(set) = self.offers.set_with(held.digest) {
            node.knowledge = Knowledge::Set(set.clone());
        }
        if self.offers.is(Some(held)) {
            node.lagging = false;
            node.rejection = None;
        }
    }

    pub(super) fn disconnect(&mut self, now: Instant, stream: StreamId, ending: Ending) {
        let Some(name) = self.streams.remove(&stream) else {
            return;
        };
        if let Some(node) = self.nodes.get_mut(&name) {
            node.link = Link::Down { since: now, ending };
            node.work = Work::Idle;
        }
        self.change();
    }

    /// Tells nodes who leads, those that accept it.
    pub(super) fn welcome_all(&mut self, now: Instant) {
        let told = self.nodes.values().map(|node| node.hello.term).max();
        if let Some(told) = told.filter(|told| *told > self.ledger.term) {
            self.least_term = self.least_term.max(Term(told.0.saturating_add(1)));
        }
        if self.least_term > self.ledger.term {
            self.fence(now);
        }
        let term = self.ledger.term;
        let mut welcomed = Vec::new();
        for node in self.nodes.values_mut() {
            if let Link::Up {
                stream,
                welcomed: false,
            } = node.link
                && node.hello.term <= term
            {
                node.link = Link::Up {
                    stream,
                    welcomed: true,
                };
                welcomed.push((stream, *node.hello.formats.end()));
            }
        }
        for (stream, newest) in welcomed {
            let message = self.welcome(newest.min(self.config.newest_format));
            self.send(stream, vec![message]);
        }
    }

    fn welcome(&self, format: u32) -> OperatorMessage {
        let heartbeat = self.config.heartbeat.as_millis();
        OperatorMessage::Welcome {
            operator: self.config.operator.clone(),
            term: self.ledger.term,
            format,
            heartbeat_ms: u32::try_from(heartbeat).unwrap_or(u32::MAX),
            health: true,
        }
    }

    pub(super) fn close_welcomed(&mut self, why: &str) {
        let streams: Vec<StreamId> = self.nodes.values().filter_map(Node::stream).collect();
        for stream in streams {
            if let Some(name) = self.streams.get(&stream).cloned()
                && let Some(node) = self.nodes.get_mut(&name)
            {
                node.link = Link::Down {
                    since: node.last_seen,
                    ending: Ending::Lost,
                };
                node.work = Work::Idle;
            }
            self.close(stream, why);
        }
    }

    /// Ends streams of nodes that owe an answer for too long, and forgets
    /// nodes that are gone for too long.
    pub(super) fn expire(&mut self, now: Instant) {
        let late: Vec<(NodeName, StreamId)> = self
            .nodes
            .iter()
            .filter(|(_, node)| {
                let due = node.owes_since().map(|at| at + self.config.answer_deadline);
                due.is_some_and(|due| due <= now)
            })
            .filter_map(|(name, node)| Some((name.clone(), node.stream()?)))
            .collect();
        for (name, stream) in late {
            self.disconnect(now, stream, Ending::Lost);
            let waited = self.config.answer_deadline.as_secs();
            self.close(stream, format!("no answer for {waited} s; connect again"));
            if let Some(node) = self.nodes.get_mut(&name) {
                node.lagging = true;
            }
        }
        let (stale, leave) = (self.config.stale_after, self.config.leave_after);
        let before = self.nodes.len();
        self.nodes.retain(|_, node| match node.link {
            Link::Up { .. } => true,
            Link::Down {
                since,
                ending: Ending::Closed,
            } => now < since + leave,
            Link::Down {
                ending: Ending::Lost,
                ..
            } => now < node.last_seen + stale,
        });
        if self.nodes.len() != before {
            self.change();
        }
        let patience_ends = self.started + stale;
        if self.expected > 0 && (self.nodes.len() >= self.expected || now >= patience_ends) {
            self.expected = 0;
            self.change();
        }
    }

    /// Nodes of the former leader that have not come to this one.
    pub(super) fn missing(&self) -> usize {
        self.expected.saturating_sub(self.nodes.len())
    }

    /// Publishes only what every live node reads.
    pub(super) fn mind_formats(&mut self) {
        let nodes = self.nodes.values().map(|node| *node.hello.formats.end());
        let format = nodes
            .fold(self.config.newest_format, u32::min)
            .max(OLDEST_FORMAT);
        if self.desired.set_format(format, &self.offers.acked) {
            self.change();
        }
    }

    /// Tries again what was refused by programs that no longer run.
    pub(super) fn forgive(&mut self) {
        let nodes = &self.nodes;
        let gone =
            |name: &NodeName, boot: u64| nodes.get(name).is_none_or(|node| node.hello.boot != boot);
        if self.desired.forgive(&self.offers.acked, gone) {
            self.change();
        }
    }
}
