//! Compilation of everything at once, for those who have no use for changes.

use watershed_snapshot::{Assembly, Resource as Served, ResourceName, Snapshot};

use crate::compiler::Compiler;
use crate::resources::Resources;
use crate::verdict::Verdict;

/// What the last compilation served, by the object that asked for it.
#[derive(Clone, Debug, Default)]
pub struct Previous(Vec<(ResourceName, Served)>);

impl Previous {
    /// Nothing was served yet.
    pub fn none() -> Self {
        Self::default()
    }
}

/// What a compilation gives.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What the nodes are to serve.
    pub snapshot: Snapshot,
    /// What is said about every object, in the order of
    /// [`ObjectRef`](crate::ObjectRef).
    pub verdicts: Vec<Verdict>,
    /// What the next compilation falls back to.
    pub previous: Previous,
}

/// Compiles all objects, as a [`Compiler`] does that is told of them and of
/// what was served before.
pub fn compile(resources: &Resources, previous: &Previous, serial_floor: u32) -> Compiled {
    let mut compiler = Compiler::of(resources.clone());
    compiler.restore(previous.0.clone());
    let changes = compiler.compile(serial_floor);
    // Claims follow the rules of zones, so that resources never contradict
    // each other.
    let assembly = Assembly::new().apply(changes.resources);
    let assembly = assembly.unwrap_or_default();
    Compiled {
        snapshot: Snapshot::clone(assembly.snapshot()),
        verdicts: changes.verdicts,
        previous: Previous(compiler.held()),
    }
}
