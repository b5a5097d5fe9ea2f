//! The largest document that the definitions let through.

use serde_json::{Map, Value, json};

const RULES: usize = 64;
const BRANCHES: usize = 1000;
const ENDPOINTS: usize = 128;
const DEPTH: usize = 8;

/// A document of the largest size and of the dearest content: every rule looks
/// at addresses, every second branch leads to another rule, and the rules are
/// as deep as they may be.
pub fn largest() -> Value {
    let mut rules = Map::new();
    let mut left = BRANCHES;
    for rule in 0..RULES {
        let count = left.div_ceil(RULES - rule);
        left -= count;
        let branches: Vec<Value> = (0..count).map(|index| branch(rule, index)).collect();
        let collection = json!({"name": "blocks"});
        rules.insert(
            name("r", rule),
            json!({"type": "CIDR", "cidrCollectionRef": collection, "branches": branches}),
        );
    }
    let endpoints: Map<String, Value> = (0..ENDPOINTS)
        .map(|index| (name("e", index), endpoint(index)))
        .collect();
    json!({
        "recordTypes": ["A", "AAAA"],
        "startRule": name("r", 0),
        "rules": rules,
        "endpoints": endpoints,
    })
}

/// Rules stand in layers; a branch leads to one of the next layer.
fn branch(rule: usize, index: usize) -> Value {
    let width = RULES / DEPTH;
    let below = (rule / width + 1) * width;
    let mut branch = json!({"cidrs": blocks(rule, index)});
    if index.is_multiple_of(2) && below < RULES {
        branch["rule"] = json!(name("r", below + index % width));
    } else {
        branch["endpoint"] = json!(name("e", (rule + index) % ENDPOINTS));
    }
    branch
}

fn blocks(rule: usize, index: usize) -> Vec<String> {
    let block = |last| format!("2001:db8:{rule:x}:{index:x}:{last:x}::/80");
    (0..8).map(block).collect()
}

fn endpoint(index: usize) -> Value {
    let addresses: Vec<String> = (0..16)
        .map(|last| format!("2001:db8:ffff:{index:x}::{last:x}"))
        .collect();
    json!({"addresses": addresses})
}

/// A name of the greatest length, 63 letters.
pub fn name(prefix: &str, index: usize) -> String {
    format!("{prefix}-{index:0>61}")
}
