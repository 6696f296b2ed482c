//! What operators measure, in Prometheus' text format, by the `prometheus-client` crate, which nothing outside notices.
//!
//! A counter is a field of [`Metrics`]: `app.metrics.refused.get_or_create(&Refused { … }).inc()`. To add one, add the
//! field and its line in [`Metrics::new`]; a port has its own, which `Ports` names. Labels are texts of the program (`&'static str`), never of a request: so no
//! caller can make their number grow.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::{Registry, Unit};

pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::gauge::Gauge;

mod durations;
mod process;

pub use durations::Durations;

/// The type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// Every metric of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Requests that a rule against abuse refused, or would have.
    pub refused: Family<Refused, Counter>,
    pub calls: Family<Call, Counter>,
    pub call_durations: Family<Procedure, Durations, fn() -> Durations>,
    pub responses: Family<Response, Counter>,
    pub streams_open: Gauge,
    pub run_durations: Family<Outcome, Durations, fn() -> Durations>,
    pub retries: Family<Reason, Counter>,
    pub removed: Family<Removed, Counter>,
    pub jobs: Family<State, Gauge>,
    pub oldest_waiting: Gauge<f64, AtomicU64>,
    pub workers: Gauge,
    pub up: Family<Dependency, Gauge>,
    pub connections: Family<Pool, Gauge>,
    pub connections_max: Family<PoolName, Gauge>,
}

/// What the ports measure themselves.
#[derive(Debug, Clone)]
pub struct Ports {
    pub database: Family<Kind, Durations, fn() -> Durations>,
    pub redis: Family<Kind, Durations, fn() -> Durations>,
    pub lines_in: Counter,
    pub lines_out: Counter,
}

/// Declares a set of labels.
macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($label:ident: $type:ty),+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub struct $name { $(pub $label: $type),+ }
    )+};
}

labels! {
    /// A rule against abuse; `dry_run`: it only says what it would do.
    Refused { rule: &'static str, dry_run: bool }
    Call { procedure: &'static str, code: &'static str }
    Procedure { procedure: &'static str }
    /// The first digit of the status, and `xx`.
    Response { status: &'static str }
    Outcome { outcome: &'static str }
    /// `run`, or `log`.
    Removed { kind: &'static str }
    /// `automatic`, or `asked`.
    Reason { reason: &'static str }
    State { state: &'static str }
    Dependency { dependency: &'static str }
    Pool { pool: &'static str, state: &'static str }
    PoolName { pool: &'static str }
    /// The kind of a round trip.
    Kind { kind: &'static str }
    Build { version: &'static str }
}

/// Durations of round trips by kind.
pub fn round_trips() -> Family<Kind, Durations, fn() -> Durations> {
    Family::new_with_constructor(Durations::short)
}

impl Metrics {
    pub fn new(ports: &Ports) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(process::Process));
        let metrics = Self {
            registry: Registry::default(),
            refused: Family::default(),
            calls: Family::default(),
            call_durations: Family::new_with_constructor(Durations::short),
            responses: Family::default(),
            streams_open: Gauge::default(),
            run_durations: Family::new_with_constructor(Durations::long),
            retries: Family::default(),
            removed: Family::default(),
            jobs: Family::default(),
            oldest_waiting: Gauge::default(),
            workers: Gauge::default(),
            up: Family::default(),
            connections: Family::default(),
            connections_max: Family::default(),
        };
        let build = Family::<Build, Gauge>::default();
        build.get_or_create(&Build { version: env!("CARGO_PKG_VERSION") }).set(1);
        let ours = registry.sub_registry_with_prefix("slipway");
        ours.register("build_info", "The version that runs", build);
        let help = "Requests that a rule against abuse refused, or would have (dry_run)";
        ours.register("refused", help, metrics.refused.clone());
        ours.register("calls", "Calls of procedures by how they were answered", metrics.calls.clone());
        let help = "How long calls of procedures took; of a subscription: until it began";
        ours.register_with_unit("call_duration", help, Unit::Seconds, metrics.call_durations.clone());
        ours.register("http_responses", "Answers over HTTP by class of status", metrics.responses.clone());
        ours.register("streams_open", "Subscriptions that are open here", metrics.streams_open.clone());
        ours.register("log_lines_written", "Lines of logs that were published here", ports.lines_in.clone());
        ours.register(
            "log_lines_sent",
            "Lines of logs that were given to followers here",
            ports.lines_out.clone(),
        );
        let help = "How long runs that ended here took, from their first start";
        ours.register_with_unit("run_duration", help, Unit::Seconds, metrics.run_durations.clone());
        ours.register(
            "removed",
            "Runs and logs that the rules of retention removed",
            metrics.removed.clone(),
        );
        ours.register("run_retries", "Further attempts of runs, by why", metrics.retries.clone());
        ours.register("queue_jobs", "Jobs of runs by state", metrics.jobs.clone());
        let help = "For how long the job that is next has waited; 0: none waits";
        ours.register_with_unit("queue_oldest_waiting", help, Unit::Seconds, metrics.oldest_waiting.clone());
        ours.register("workers", "Workers that were seen lately", metrics.workers.clone());
        ours.register("up", "Whether a dependency answers: 1, or 0", metrics.up.clone());
        let help = "Connections to the database by what they do";
        ours.register("database_connections", help, metrics.connections.clone());
        let help = "Connections to the database that may be open";
        ours.register("database_connections_max", help, metrics.connections_max.clone());
        let help = "How long statements of the database took, without the wait for a connection";
        ours.register_with_unit("database_round_trip", help, Unit::Seconds, ports.database.clone());
        let help = "How long round trips to Redis took";
        ours.register_with_unit("redis_round_trip", help, Unit::Seconds, ports.redis.clone());
        Self { registry, ..metrics }
    }

    /// All of them, as Prometheus reads them.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            database: round_trips(),
            redis: round_trips(),
            lines_in: Counter::default(),
            lines_out: Counter::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_in_the_text() {
        let metrics = Metrics::new(&Ports::default());
        metrics.refused.get_or_create(&Refused { rule: "sign-in", dry_run: true }).inc();
        let text = metrics.text();
        assert!(text.contains("slipway_refused_total{rule=\"sign-in\",dry_run=\"true\"} 1\n"), "{text}");
    }
}
