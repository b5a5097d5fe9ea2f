//! Whether this replica may write.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

/// Says whether this replica may write. Asked immediately before each write;
/// it needs no news to say no. Clones share it.
#[derive(Clone, Debug)]
pub struct Guard {
    until: Arc<ArcSwap<Until>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// It may not.
    Never,
    /// It may, before that.
    At(Instant),
    /// It always may.
    Always,
}

impl Guard {
    /// One that holds always, where there is one writer only, as in tests.
    pub fn always() -> Self {
        Self::new(Until::Always)
    }

    pub(super) fn never() -> Self {
        Self::new(Until::Never)
    }

    fn new(until: Until) -> Self {
        Self {
            until: Arc::new(ArcSwap::from_pointee(until)),
        }
    }

    /// Whether this replica leads, certainly.
    pub fn holds(&self) -> bool {
        !self.remaining().is_zero()
    }

    /// How long it leads at least, if nothing is heard of the API server from
    /// now on; zero when it does not lead. A write must be over by then.
    pub fn remaining(&self) -> Duration {
        match **self.until.load() {
            Until::Never => Duration::ZERO,
            Until::At(until) => until.saturating_duration_since(Instant::now()),
            Until::Always => Duration::MAX,
        }
    }

    pub(super) fn hold(&self, until: Option<Instant>) {
        let until = until.map_or(Until::Never, Until::At);
        self.until.store(Arc::new(until));
    }

    pub(super) fn end(&self) {
        self.hold(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_by_itself_and_by_order() {
        let guard = Guard::never();
        assert!(!guard.holds());
        guard.hold(Some(Instant::now() + Duration::from_mins(1)));
        assert!(guard.clone().holds() && guard.remaining() > Duration::from_secs(50));
        guard.end();
        assert_eq!(guard.remaining(), Duration::ZERO);
        guard.hold(Some(Instant::now()));
        assert!(!guard.holds(), "the time is over");
        assert!(Guard::always().holds());
    }
}
