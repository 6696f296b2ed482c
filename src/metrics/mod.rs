//! What operators measure, in Prometheus' text format, by the `prometheus-client` crate, which nothing outside notices.
//!
//! A counter is a field of [`Metrics`]: `app.metrics.refused.get_or_create(&Refused { … }).inc()`. To add one, add the
//! field and its line in [`Metrics::new`]. Labels are texts of the program (`&'static str`), never of a request: so no
//! caller can make their number grow.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::gauge::Gauge;

mod durations;

pub use durations::Durations;

/// The type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// Every metric of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Requests that a rule against abuse refused, or would have.
    pub refused: Family<Refused, Counter>,
}

/// A rule against abuse.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Refused {
    pub rule: &'static str,
    /// Whether the rule only says what it would do.
    pub dry_run: bool,
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let ours = registry.sub_registry_with_prefix("slipway");
        let refused = Family::default();
        ours.register(
            "refused",
            "Requests that a rule against abuse refused, or would have (dry_run)",
            refused.clone(),
        );
        Self { registry, refused }
    }

    /// All of them, as Prometheus reads them.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_in_the_text() {
        let metrics = Metrics::new();
        metrics.refused.get_or_create(&Refused { rule: "sign-in", dry_run: true }).inc();
        let text = metrics.text();
        assert!(text.contains("slipway_refused_total{rule=\"sign-in\",dry_run=\"true\"} 1\n"), "{text}");
    }
}
