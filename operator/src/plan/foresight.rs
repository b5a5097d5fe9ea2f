//! A plan that nobody carries out.

use jiff::Timestamp;

use super::fleets::NoFleets;
use super::{Configuration, Plan, Planner, Write};
use crate::object::ObjectId;
use crate::watch::{Change, observe};
use crate::world::World;

/// Rounds of making versions: one makes all that documents ask for.
const ROUNDS: usize = 4;

/// What would be done in this world, in lines for people. Versions that would
/// be made are supposed to be there for what follows, so the world is another
/// one afterwards. What nodes would report is not known: conditions that
/// depend on them are left out.
pub fn foresee(world: &mut World, now: Timestamp) -> String {
    let floor = u32::try_from(now.as_second()).unwrap_or(u32::MAX);
    let mut all = Plan::default();
    for _ in 0..ROUNDS {
        world.compile(floor);
        let objects: Vec<ObjectId> = world.objects.keys().cloned().collect();
        let plan = Planner::new(world, &NoFleets, now).plan(&objects);
        let (makes, rest): (Vec<Write>, Vec<Write>) = plan.writes.into_iter().partition(is_making);
        let over = makes.is_empty();
        for write in &makes {
            if let Write::Configuration(write) = write {
                suppose(world, write, now);
            }
        }
        all.writes.retain(is_making);
        all.writes.extend(makes);
        all.writes.extend(rest);
        if over {
            break;
        }
    }
    all.text(world)
}

fn is_making(write: &Write) -> bool {
    matches!(write, Write::Configuration(write) if write.uid.is_none())
}

/// Takes an object to be there as it would be made.
fn suppose(world: &mut World, write: &Configuration, now: Timestamp) {
    let mut body = write.body();
    body["metadata"]["generation"] = serde_json::json!(1);
    if let Ok(object) = serde_json::from_value(body) {
        let observed = observe(write.id.kind, object);
        world.take(Change::Object(Box::new(observed)), now);
    }
}
