//! Metrics of one subject that are registered together.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

/// A subject with several metrics.
pub trait Parts: Send + Sync {
    /// Each of them.
    fn parts(&self) -> Vec<&dyn Collector>;
}

/// All metrics of a subject as one collector: of these, two of one name cannot
/// be registered.
#[derive(Clone, Debug)]
pub struct Together<T>(pub T);

impl<T: Parts> Collector for Together<T> {
    fn desc(&self) -> Vec<&Desc> {
        let parts = self.0.parts().into_iter();
        parts.flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let parts = self.0.parts().into_iter();
        parts.flat_map(Collector::collect).collect()
    }
}
