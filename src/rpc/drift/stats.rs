//! Arbitrary figures.

use super::*;
use crate::services::history::{QueueHistory, QueuePoint};
use crate::services::queues::live::QueueState;
use crate::services::stats::{PipelineStats, RunSummary};
use crate::services::system::{ComponentHealth, Health, HealthStatus, QueueHealth, StreamsHealth};

pub(super) fn pipeline() -> impl Strategy<Value = PipelineStats> {
    let times = (at(), of(at()), of(at()), of(count()));
    let run = (id(), any::<u32>(), status(), of(any_text()), any_text(), times).prop_map(
        |(id, number, status, branch, triggered_by, (created_at, started_at, finished_at, duration_ms))| {
            RunSummary {
                id,
                number,
                status,
                branch,
                triggered_by,
                created_at,
                started_at,
                finished_at,
                duration_ms,
            }
        },
    );
    (id(), vec(run, 0..3), of(0.0..=1.0), of(count())).prop_map(
        |(pipeline_id, runs, success_rate, median_duration_ms)| PipelineStats {
            pipeline_id,
            runs,
            success_rate,
            median_duration_ms,
        },
    )
}

pub(super) fn history() -> impl Strategy<Value = QueueHistory> {
    let depth = (count(), count(), count());
    let ends = (count(), count(), count(), count());
    let point = (at(), depth, ends, of(count()), of(count())).prop_map(
        |(at, depth, ends, duration_p50_ms, duration_p95_ms)| {
            let (waiting, active, delayed) = depth;
            let (added, completed, failed, canceled) = ends;
            QueuePoint {
                at,
                waiting,
                active,
                delayed,
                added,
                completed,
                failed,
                canceled,
                duration_p50_ms,
                duration_p95_ms,
            }
        },
    );
    vec(point, 0..3).prop_map(|points| QueueHistory { points })
}

pub(super) fn queue() -> impl Strategy<Value = QueueState> {
    let counts = (count(), count(), count(), count(), count(), count());
    (counts, of(at()), any::<bool>(), of(at())).prop_map(
        |(
            (waiting, active, delayed, completed, failed, workers),
            oldest_waiting_at,
            is_paused,
            history_until,
        )| {
            QueueState {
                waiting,
                active,
                delayed,
                completed,
                failed,
                workers,
                oldest_waiting_at,
                is_paused,
                history_until,
            }
        },
    )
}

pub(super) fn health() -> impl Strategy<Value = Health> {
    let status =
        || prop_oneof![Just(HealthStatus::Ok), Just(HealthStatus::Degraded), Just(HealthStatus::Down)];
    let component = || {
        (status(), any_text(), of(any_text())).prop_map(|(status, kind, error)| ComponentHealth {
            status,
            kind,
            error,
        })
    };
    let queue = (count(), count(), count(), count(), count()).prop_map(
        |(waiting, active, delayed, failed, workers)| QueueHealth {
            waiting,
            active,
            delayed,
            failed,
            workers,
        },
    );
    let streams =
        (count(), count(), count()).prop_map(|(open, logs, runs)| StreamsHealth { open, logs, runs });
    (status(), any_text(), count(), component(), component(), queue, streams, of(at())).prop_map(
        |(status, version, uptime_seconds, database, redis, queue, streams, last_fetch_at)| Health {
            status,
            version,
            uptime_seconds,
            database,
            redis,
            queue,
            streams,
            last_fetch_at,
        },
    )
}
