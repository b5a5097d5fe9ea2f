use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use tokio::time::sleep;
use watershed_health::{CheckerChoice, ProbeKind, TcpProbe};

use super::*;

const EPOCH: Duration = Duration::from_hours(500_000);

fn check(interval: u64) -> Arc<Check> {
    Arc::new(Check {
        interval: Duration::from_secs(interval),
        checkers: CheckerChoice {
            per_target: 1,
            min_locations: 1,
            locations: Vec::new(),
        },
        stale_after: Duration::from_secs(30),
        ..Check::new(ProbeKind::Tcp(TcpProbe { port: 80 }))
    })
}

fn assignment(number: u32, interval: u64) -> Assignment {
    Assignment {
        target: Target {
            check: format!("shop/{number}"),
            address: None,
        },
        check: check(interval),
        rank: 0,
        of: 1,
        own_account: false,
    }
}

/// Probes that take as long as is said, on a paused clock.
struct World {
    news: watch::Sender<Vec<Assignment>>,
    results: mpsc::Receiver<ProbeResult>,
    begun: Arc<Mutex<BTreeMap<String, Vec<Duration>>>>,
    most: Arc<AtomicUsize>,
}

impl World {
    fn new(concurrency: usize, takes: Duration) -> Self {
        let (news, receiver) = watch::channel(Vec::new());
        let (sender, results) = mpsc::channel(100_000);
        let limits = Limits {
            concurrency,
            unassigned_per_second: 5,
        };
        let start = Instant::now();
        let begun: Arc<Mutex<BTreeMap<String, Vec<Duration>>>> = Arc::default();
        let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let now = Arc::new(now);
        let (log, peak) = (Arc::clone(&begun), Arc::clone(&most));
        let probe = move |target: Arc<Target>, _: Arc<Check>| {
            let mut log = log.lock().unwrap();
            log.entry(target.to_string())
                .or_default()
                .push(start.elapsed());
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let now = Arc::clone(&now);
            async move {
                sleep(takes).await;
                now.fetch_sub(1, Ordering::SeqCst);
                ProbeResult {
                    target: (*target).clone(),
                    outcome: Outcome::Success(String::new()),
                    kind: "ok",
                    took: takes,
                    certificate_expires: None,
                }
            }
            .boxed()
        };
        let clock = move || EPOCH + start.elapsed();
        tokio::spawn(Rota::new(limits, clock, probe, sender).run(receiver));
        Self {
            news,
            results,
            begun,
            most,
        }
    }

    fn begun(&self, number: u32) -> Vec<Duration> {
        let begun = self.begun.lock().unwrap();
        begun
            .get(&format!("shop/{number}"))
            .cloned()
            .unwrap_or_default()
    }

    fn results(&mut self) -> Vec<ProbeResult> {
        std::iter::from_fn(|| self.results.try_recv().ok()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn targets_are_probed_once_in_an_interval_without_drift() {
    let mut world = World::new(10, Duration::from_secs(1));
    world.news.send_replace(vec![assignment(1, 10)]);
    sleep(Duration::from_secs(10_000)).await;
    let begun = world.begun(1);
    assert!((999..=1000).contains(&begun.len()), "{}", begun.len());
    for (round, at) in (0_u32..).zip(&begun) {
        let due = begun[0] + Duration::from_secs(10) * round;
        let off = at.abs_diff(due);
        // Jitter, and a timer that counts milliseconds.
        assert!(off <= Duration::from_millis(102), "{round}: {off:?}");
    }
    // The last one may be under way.
    assert!(world.results().len() + 1 >= begun.len());
}

#[tokio::test(start_paused = true)]
async fn a_target_is_never_probed_twice_at_once() {
    let world = World::new(10, Duration::from_millis(2500));
    world.news.send_replace(vec![assignment(1, 1)]);
    sleep(Duration::from_secs(31)).await;
    assert_eq!(world.most.load(Ordering::SeqCst), 1);
    // Every third turn: the ones between are taken up by the probe.
    let count = world.begun(1).len();
    assert!((10..=11).contains(&count), "{count}");
}

#[tokio::test(start_paused = true)]
async fn what_waits_too_long_is_reported() {
    let mut world = World::new(1, Duration::from_secs(15));
    world
        .news
        .send_replace((0..3).map(|number| assignment(number, 10)).collect());
    sleep(Duration::from_secs(100)).await;
    assert_eq!(world.most.load(Ordering::SeqCst), 1);
    let results = world.results();
    let overload = results.iter().filter(|r| r.kind == "overload").count();
    assert!(overload >= 10, "{overload}");
    // All have their turn all the same.
    for number in 0..3 {
        assert!(world.begun(number).len() >= 2, "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn those_that_stay_keep_their_rhythm() {
    let world = World::new(10, Duration::from_millis(10));
    world.news.send_replace(vec![assignment(1, 10)]);
    sleep(Duration::from_secs(25)).await;
    for round in 0..50 {
        world
            .news
            .send_replace(vec![assignment(1, 10), assignment(100 + round, 10)]);
        sleep(Duration::from_secs(1)).await;
    }
    let begun = world.begun(1);
    for pair in begun.windows(2) {
        let gap = pair[1].checked_sub(pair[0]).unwrap();
        assert!(gap.abs_diff(Duration::from_secs(10)) < Duration::from_millis(210));
    }
    assert!(begun.len() >= 7, "{begun:?}");
}

#[tokio::test(start_paused = true)]
async fn results_of_former_assignments_are_dropped() {
    let mut world = World::new(10, Duration::from_secs(3));
    world
        .news
        .send_replace(vec![assignment(1, 10), assignment(2, 10)]);
    while world.begun(1).is_empty() || world.begun(2).is_empty() {
        sleep(Duration::from_millis(100)).await;
        if !world.begun(1).is_empty() || !world.begun(2).is_empty() {
            // Under way: one is gone now, the other has another interval.
            world.news.send_replace(vec![assignment(2, 20)]);
            break;
        }
    }
    let before = world.results().len();
    assert_eq!(before, 0);
    sleep(Duration::from_secs(40)).await;
    let first = world.begun(1).len();
    assert!(first <= 1, "{first}");
    let results = world.results();
    assert!(results.iter().all(|result| result.target.check == "shop/2"));
    assert!(!results.is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_rank_takes_another_turn() {
    let mut world = World::new(10, Duration::from_secs(3));
    let mut moved = assignment(1, 10);
    world.news.send_replace(vec![moved.clone()]);
    sleep(Duration::from_secs(30)).await;
    moved.of = 2;
    moved.rank = 1;
    world.news.send_replace(vec![moved]);
    sleep(Duration::from_secs(30)).await;
    let begun = world.begun(1);
    let phase = |at: Duration| (EPOCH + at).as_millis() % 10_000;
    let (first, last) = (phase(begun[0]), phase(begun[begun.len() - 1]));
    let apart = first.abs_diff(last);
    assert!((4890..=5110).contains(&apart), "{apart}");
    // The probe that was under way at the change counts.
    assert!(world.results().len() + 1 >= begun.len());
}

#[tokio::test(start_paused = true)]
async fn probes_on_the_own_account_are_fewer() {
    let world = World::new(100, Duration::from_millis(10));
    let own = |number| Assignment {
        own_account: true,
        ..assignment(number, 10)
    };
    // One: every third interval. A thousand: 5 a second.
    world.news.send_replace(vec![own(0)]);
    sleep(Duration::from_mins(5)).await;
    let count = world.begun(0).len();
    assert!((9..=11).contains(&count), "{count}");
    world.news.send_replace((1..=1000).map(own).collect());
    sleep(Duration::from_secs(400)).await;
    let counts: Vec<_> = (1..=1000).map(|number| world.begun(number).len()).collect();
    let sum: usize = counts.iter().sum();
    assert!((1900..=2001).contains(&sum), "{sum}");
    assert!(counts.iter().all(|&count| (1..=3).contains(&count)));
}

#[tokio::test(start_paused = true)]
async fn checks_that_nodes_do_not_probe_are_passed_over() {
    let world = World::new(10, Duration::from_millis(10));
    let mut off = assignment(1, 1);
    Arc::make_mut(&mut off.check).disabled = true;
    world.news.send_replace(vec![off, assignment(2, 1)]);
    sleep(Duration::from_secs(10)).await;
    assert!(world.begun(1).is_empty());
    assert!(world.begun(2).len() >= 9);
}

#[tokio::test(start_paused = true)]
async fn a_start_of_many_makes_no_storm() {
    let world = World::new(10_000, Duration::from_millis(1));
    world
        .news
        .send_replace((0..5000).map(|number| assignment(number, 10)).collect());
    sleep(Duration::from_millis(10_300)).await;
    let mut slots = [0_u32; 11];
    for number in 0..5000 {
        let first = world.begun(number)[0];
        slots[usize::try_from(first.as_secs()).unwrap()] += 1;
    }
    assert!(
        slots[..10]
            .iter()
            .all(|&count| (400..=600).contains(&count)),
        "{slots:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_assigned_after_all_waits_no_longer() {
    let mut world = World::new(100, Duration::from_millis(10));
    let own = |number| Assignment {
        own_account: true,
        ..assignment(number, 10)
    };
    world.news.send_replace((0..1000).map(own).collect());
    // All wait: 5 of 1000 are let through in a second.
    sleep(Duration::from_secs(40)).await;
    let number = (0..1000).find(|&n| world.begun(n).is_empty()).unwrap();
    let others = (0..1000).filter(|&n| n != number).map(own);
    let all = others.chain([assignment(number, 10)]).collect();
    world.news.send_replace(all);
    sleep(Duration::from_secs(31)).await;
    let count = world.begun(number).len();
    assert!((3..=4).contains(&count), "{count}");
    assert!(world.results().iter().all(|result| result.kind == "ok"));
}
