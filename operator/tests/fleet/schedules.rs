//! Random schedules: whatever happens in whatever order, nothing goes back, no
//! generation has two contents, and in the end everybody serves what is
//! desired.

use std::time::Duration;

use proptest::prelude::*;
use watershed_snapshot::Digest;

use crate::content::{put, put_in_format, put_zone, record_name, remove};
use crate::world::{Fate, World};

const NODES: usize = 3;
const OPERATORS: usize = 2;
const RECORDS: u8 = 4;
/// The record that some node refuses.
const REFUSED: u8 = 3;

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    Edit {
        record: u8,
        edition: u8,
        /// Format that it takes to read the content.
        format: u32,
        seen: [bool; OPERATORS],
    },
    Remove {
        record: u8,
        seen: [bool; OPERATORS],
    },
    CatchUp(usize),
    Pass(u64),
    Up(usize),
    /// What was said on the latest stream overtakes the former ones.
    UpLatest(usize),
    Down(usize),
    Flow,
    Store(usize, Fate),
    Connect(usize, usize),
    Cut(usize, bool),
    /// With or without its last write to disk.
    CrashNode(usize, bool),
    StartNode(usize),
    /// The node is started in a version that reads up to this format.
    Replace(usize, u32),
    WipeDisk(usize),
    /// An operator begins to lead, whether or not another one does.
    Lead(usize),
    CrashOperator(usize),
    ForgetRecord,
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..NODES;
    let operator = 0..OPERATORS;
    let record = 0..RECORDS;
    prop_oneof![
        6 => (record.clone(), 0..5_u8, format(), any::<[bool; OPERATORS]>())
            .prop_map(|(record, edition, format, seen)| Step::Edit { record, edition, format, seen }),
        1 => (record, any::<[bool; OPERATORS]>())
            .prop_map(|(record, seen)| Step::Remove { record, seen }),
        2 => operator.clone().prop_map(Step::CatchUp),
        6 => (50..3000_u64).prop_map(Step::Pass),
        12 => node.clone().prop_map(Step::Up),
        3 => node.clone().prop_map(Step::UpLatest),
        12 => node.clone().prop_map(Step::Down),
        6 => Just(Step::Flow),
        10 => (operator.clone(), fate()).prop_map(|(operator, fate)| Step::Store(operator, fate)),
        5 => (node.clone(), operator.clone()).prop_map(|(node, operator)| Step::Connect(node, operator)),
        2 => (node.clone(), any::<bool>()).prop_map(|(node, lost)| Step::Cut(node, lost)),
        1 => (node.clone(), any::<bool>()).prop_map(|(node, lost)| Step::CrashNode(node, lost)),
        2 => node.clone().prop_map(Step::StartNode),
        1 => (node.clone(), 1..=2_u32).prop_map(|(node, newest)| Step::Replace(node, newest)),
        1 => node.prop_map(Step::WipeDisk),
        2 => operator.clone().prop_map(Step::Lead),
        1 => operator.prop_map(Step::CrashOperator),
        1 => Just(Step::ForgetRecord),
    ]
}

/// Most contents can be read by all.
fn format() -> impl Strategy<Value = u32> {
    prop_oneof![4 => Just(1), 1 => Just(2)]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Answered),
        1 => Just(Fate::Failed),
        1 => Just(Fate::AnswerLost),
    ]
}

/// A world in which things happen.
struct Run {
    world: World,
    term: u64,
}

impl Run {
    fn new(refusing: Option<usize>) -> Self {
        let mut world = World::new(NODES, OPERATORS);
        if let Some(node) = refusing {
            world.refuse(node, &[record_name(REFUSED)]);
            world.start_node(node);
        }
        let mut run = Self { world, term: 0 };
        run.world.desire(vec![put_zone(), put(0, 0)], |_| true);
        run.lead(0);
        for node in 0..NODES {
            run.world.connect(node, 0);
        }
        run
    }

    fn lead(&mut self, operator: usize) {
        self.term += 1;
        self.world.lead(operator, self.term, |_| {});
    }

    fn step(&mut self, step: &Step) {
        let world = &mut self.world;
        match *step {
            Step::Edit {
                record,
                edition,
                format,
                seen,
            } => {
                // A content needs what it needs, whoever says it.
                let edition = edition + 100 * u8::try_from(format).expect("a small number");
                let change = put_in_format(record, edition, format);
                world.desire(vec![change], |operator| seen[operator]);
            }
            Step::Remove { record, seen } => {
                world.desire(vec![remove(record)], |operator| seen[operator]);
            }
            Step::CatchUp(operator) => world.catch_up(operator),
            Step::Pass(ms) => world.pass(Duration::from_millis(ms)),
            Step::Up(node) => drop(world.deliver_up(node)),
            Step::UpLatest(node) => drop(world.deliver_latest(node)),
            Step::Down(node) => drop(world.deliver_down(node)),
            Step::Flow => world.flow(),
            Step::Store(operator, fate) => drop(world.answer_request(operator, fate)),
            Step::Connect(node, operator) => world.connect(node, operator),
            Step::Cut(node, lost) => world.cut(node, lost),
            Step::CrashNode(node, lost) => {
                world.crash_node(node);
                if lost {
                    world.lose_write(node);
                }
            }
            Step::StartNode(node) => world.start_node(node),
            Step::Replace(node, newest) => {
                world.limit_format(node, newest);
                world.start_node(node);
            }
            Step::WipeDisk(node) => {
                world.crash_node(node);
                world.wipe_disk(node);
                world.start_node(node);
            }
            Step::Lead(operator) => self.lead(operator),
            Step::CrashOperator(operator) => world.crash_operator(operator),
            Step::ForgetRecord => {
                // Epochs are seconds: nobody loses a record twice in one.
                world.pass(Duration::from_secs(10));
                world.forget();
            }
        }
    }

    /// The faults end: all nodes run, read every format and reach the one
    /// operator that leads. Says whether it came to what is to come of that.
    fn heal(&mut self, healed: impl Fn(&World) -> bool) -> bool {
        for node in 0..NODES {
            self.world.limit_format(node, 2);
            self.world.start_node(node);
        }
        self.world.crash_operator(1);
        self.lead(0);
        self.world.run_until(0, Duration::from_secs(100), healed)
    }
}

/// All nodes serve what is recorded, which is what is desired.
fn everybody_serves_what_is_desired(world: &World) -> bool {
    let desired = world.desired_set().digest();
    let record = world.record().map(|record| record.held);
    record.is_some_and(|held| held.digest == desired)
        && (0..NODES).all(|node| world.serving(node).map(|(held, _)| held) == record)
        && world.view(0).quarantined.is_empty()
}

/// All nodes but one serve all that is desired but for what that one refuses.
/// It does too, or is said to reject what the others serve.
fn a_refusal_concerns_nothing_else(world: &World, refusing: usize) -> bool {
    let desired = world.desired_set();
    let refused = record_name(REFUSED);
    let others = (0..NODES).filter(|node| *node != refusing);
    let served = |node: usize| {
        let mut all = desired
            .iter()
            .map(|(name, content)| (name.to_shared(), content));
        all.all(|(name, content)| {
            name == refused || world.form(node, &name) == Some(Digest::of(content))
        })
    };
    let view = world.view(0);
    let Some(seen) = view.nodes.get(refusing) else {
        return false;
    };
    let own = world.serving(refusing).map(|(held, _)| held.id);
    others.into_iter().all(served) && (seen.rejected.is_some() || own == view.current)
}

fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        // A run takes some 30 ms. PROPTEST_CASES asks for more.
        cases: usual.cases / 2,
        max_shrink_iters: 3000,
        // Faults that were found are cases of their own.
        failure_persistence: None,
        ..usual
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn everybody_ends_with_what_is_desired(steps in prop::collection::vec(step(), 0..150)) {
        let mut run = Run::new(None);
        for step in &steps {
            run.step(step);
        }
        let healed = run.heal(everybody_serves_what_is_desired);
        prop_assert!(healed, "{:#?}", run.world.view(0));
    }

    /// One node refuses one resource: all others end with all the rest.
    #[test]
    fn a_refusal_holds_up_nothing_else(
        refusing in 0..NODES,
        steps in prop::collection::vec(step(), 0..150),
    ) {
        let mut run = Run::new(Some(refusing));
        for step in &steps {
            run.step(step);
        }
        let healed = run.heal(|world| a_refusal_concerns_nothing_else(world, refusing));
        prop_assert!(healed, "{:#?}", run.world.view(0));
    }
}
