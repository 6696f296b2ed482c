//! What Bull Board's API answers: its shapes, and how it says what is wrong.

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::domain::token::Actor;
use crate::error::Error;
use crate::http::board::request::{JobRead, Page, QueueRead, Read, Status, Wrong, options_of};
use crate::http::board::trigger;
use crate::services::queues::{
    self, Change, Changed, JobChange, JobStatus, Overview, Part, QueueName, Refusal, StoredJob,
};

/// What a change was about, for the words of its answer.
#[derive(Debug, Default)]
pub(super) struct Subject {
    /// The job's or the status's name.
    name: String,
    without_data: bool,
    without_delay: bool,
    without_state: bool,
    pub is_answered_by_nothing: bool,
}

impl Subject {
    pub(super) fn of(change: &Change) -> Self {
        let is_answered_by_nothing = matches!(
            change,
            Change::EditScheduler(..)
                | Change::RemoveScheduler(_)
                | Change::Job(_, JobChange::Retry | JobChange::Remove | JobChange::Promote)
        );
        let name = match change {
            Change::Job(id, _) => id.clone(),
            Change::RetryAll(status) => status.map_or("unknown", JobStatus::as_str).to_owned(),
            _ => String::new(),
        };
        let without_data = matches!(change, Change::Add(job) if job.data.is_null());
        let without_delay = match change {
            Change::Add(job) => job.options.get("delay").is_none(),
            Change::RunScheduler(_) => true,
            _ => false,
        };
        let without_state = matches!(change, Change::RunScheduler(_));
        Self { name, without_data, without_delay, without_state, is_answered_by_nothing }
    }
}

pub(super) fn json(body: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    (kind, Body::from(body.to_string())).into_response()
}

pub(super) fn changed(changed: Changed, subject: &Subject) -> Value {
    match changed {
        Changed::Done => json!({}),
        Changed::Retried { retried, skipped } => json!({ "retried": retried, "skipped": skipped }),
        Changed::Removed(count) => json!({ "removed": count }),
        Changed::Added { mut job, state } => {
            if subject.without_data {
                job.data = None;
            }
            if subject.without_delay {
                job.delay = None;
            }
            match subject.without_state {
                true => json!({ "job": job }),
                false => json!({ "job": job, "status": state }),
            }
        }
    }
}

pub(super) async fn read(app: &App, actor: &Actor, read: Read) -> Result<Value, Refusal> {
    match read {
        Read::Stats => Ok(queues::stats(app).await?),
        Read::Queues(page) => overview(app, actor, &page).await,
        Read::Schedulers(name) => {
            let mut all = Vec::new();
            for queue in QueueName::ALL {
                if name.as_deref().is_none_or(|name| name == queue.as_str()) {
                    all.extend(queues::schedulers(app, queue).await?);
                }
            }
            Ok(json!({ "schedulers": all }))
        }
        Read::Queue(name, read) => of_queue(app, &name, read).await,
        Read::Job(name, id, read) => of_job(app, actor, &name, &id, read).await,
    }
}

async fn of_queue(app: &App, name: &str, read: QueueRead) -> Result<Value, Refusal> {
    let queue = queues::queue(name)?;
    Ok(match read {
        QueueRead::Metrics => {
            let (completed, failed) = queues::metrics(app, queue).await?;
            json!({ "completed": completed, "failed": failed })
        }
        // A run's options are its pipeline's.
        QueueRead::DefaultJobOptions => json!({}),
        QueueRead::Workers => json!({ "workers": queues::workers(app, queue).await? }),
        QueueRead::RateLimit => {
            json!({ "supported": true, "rateLimit": queues::rate_limit(app, queue).await? })
        }
        QueueRead::DataSchema => match queue {
            QueueName::Pipelines => trigger::schema(),
            QueueName::Deployments => json!({}),
        },
    })
}

async fn of_job(app: &App, actor: &Actor, name: &str, id: &str, read: JobRead) -> Result<Value, Refusal> {
    let queue = queues::queue(name)?;
    Ok(match read {
        JobRead::Job => {
            let job = queues::job(app, queue, id).await?;
            json!({ "job": job, "status": queues::state(app, queue, id).await? })
        }
        JobRead::Log => json!(queues::log(app, actor, queue, id).await?),
        JobRead::Flow(window) => json!(queues::flow(app, queue, id, window).await?),
    })
}

async fn overview(app: &App, actor: &Actor, page: &Page) -> Result<Value, Refusal> {
    let mut shown = Vec::new();
    for overview in queues::overviews(app).await? {
        let is_wanted = page.queue.as_deref() == Some(overview.name.as_str());
        shown.push(queue(app, actor, overview, page, is_wanted).await?);
    }
    Ok(json!({ "queues": shown }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Queue {
    name: &'static str,
    statuses: Vec<&'static str>,
    counts: Map<String, Value>,
    jobs: Vec<StoredJob>,
    pagination: Value,
    read_only_mode: bool,
    allow_retries: bool,
    allow_completed_retries: bool,
    is_paused: bool,
    r#type: &'static str,
    delimiter: &'static str,
    global_concurrency: Option<u64>,
    active_rate_limit_ttl: u64,
    supports_global_rate_limit: bool,
    job_scheduler_count: u64,
    has_workers: Option<bool>,
}

async fn queue(
    app: &App,
    actor: &Actor,
    overview: Overview,
    page: &Page,
    is_wanted: bool,
) -> Result<Queue, Refusal> {
    let Page { page: number, jobs_per_page, .. } = *page;
    let status = if is_wanted { page.status } else { Status::Latest };
    let count = |status: JobStatus| overview.counts.get(status.as_str()).copied().unwrap_or(0);
    let start = match status {
        Status::Latest => 0,
        _ => (number - 1) * jobs_per_page,
    };
    let end = start + jobs_per_page - 1;
    let (page_count, listed) = match status {
        Status::Latest => (1, Some(None)),
        Status::Of(status) => (count(status).div_ceil(jobs_per_page), Some(Some(status))),
        Status::Paused => (0, None),
    };
    let jobs = match listed {
        Some(status) if is_wanted => {
            queues::list(app, Part { queue: overview.name, status, start, end }).await?
        }
        _ => Vec::new(),
    };
    let is_read_only = queues::is_read_only(actor);
    Ok(Queue {
        name: overview.name.as_str(),
        statuses: std::iter::once("latest").chain(JobStatus::ALL.map(JobStatus::as_str)).collect(),
        counts: overview
            .counts
            .iter()
            .map(|(status, count)| ((*status).to_owned(), (*count).into()))
            .collect(),
        jobs,
        pagination: json!({ "pageCount": page_count, "range": { "start": start, "end": end } }),
        read_only_mode: is_read_only,
        allow_retries: !is_read_only,
        allow_completed_retries: !is_read_only,
        is_paused: overview.is_paused,
        r#type: "bullmq",
        delimiter: "",
        global_concurrency: overview.global_concurrency,
        active_rate_limit_ttl: overview.rate_limit_ttl,
        supports_global_rate_limit: true,
        job_scheduler_count: overview.schedulers,
        has_workers: overview.has_workers,
    })
}

/// What is wrong, as the board shows it: a headline, and a second line.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    body: Value,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, json(&self.body)).into_response()
    }
}

impl Problem {
    fn key(status: StatusCode, key: &str) -> Self {
        Self { status, body: json!({ "error": { "key": format!("ERRORS.{key}") } }) }
    }

    fn with(mut self, field: &str, value: Value) -> Self {
        if let Some(body) = self.body.as_object_mut() {
            body.insert(field.to_owned(), value);
        }
        self
    }

    fn options(mut self, options: Value) -> Self {
        if let Some(error) = self.body.get_mut("error").and_then(Value::as_object_mut) {
            error.insert("options".to_owned(), options);
        }
        self
    }

    /// Something that the board has no words for.
    pub(super) fn text(status: StatusCode, message: &str) -> Self {
        Self::key(status, "INTERNAL_SERVER_ERROR").with("message", message.into())
    }

    pub(super) fn invalid(wrong: &Wrong) -> Self {
        const STATUS: StatusCode = StatusCode::BAD_REQUEST;
        let problem = match wrong {
            Wrong::Query(field) => {
                Self::key(STATUS, "INVALID_QUERY_PARAM").options(json!({ "field": field }))
            }
            Wrong::Body(field) => {
                Self::key(STATUS, "INVALID_REQUEST_BODY").options(json!({ "field": field }))
            }
            Wrong::Key(key) => {
                let problem = Self::key(STATUS, key);
                match options_of(key) {
                    Some(options) => problem.options(options),
                    None => problem,
                }
            }
        };
        problem.with("code", "INVALID_REQUEST".into())
    }

    pub(super) fn of(error: Error) -> Self {
        match error {
            Error::Unauthenticated(reason) => {
                Self::key(StatusCode::UNAUTHORIZED, "FORBIDDEN").with("message", reason.into())
            }
            Error::Forbidden(reason) => {
                Self::key(StatusCode::FORBIDDEN, "FORBIDDEN").with("message", reason.into())
            }
            Error::Unavailable { dependency: "redis" | "queue", .. } => {
                Self::key(StatusCode::SERVICE_UNAVAILABLE, "REDIS_UNAVAILABLE")
            }
            error @ Error::Unavailable { .. } => {
                Self::text(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
            }
            error @ Error::NotFound { .. } => Self::text(StatusCode::NOT_FOUND, &error.to_string()),
            error @ Error::Invalid { .. } => Self::text(StatusCode::BAD_REQUEST, &error.to_string()),
            error @ Error::TooMany { .. } => Self::text(StatusCode::TOO_MANY_REQUESTS, &error.to_string()),
            Error::Conflict(reason) => Self::text(StatusCode::CONFLICT, &reason),
            error @ Error::Internal { .. } => {
                tracing::error!(error = error.chain(), "The board could not answer");
                Self::text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
            }
        }
    }

    pub(super) fn refusal(refusal: Refusal, subject: &Subject) -> Self {
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        let id = subject.name.as_str();
        let detailed = |key: &str, options: Value| {
            let details = json!({ "key": format!("ERRORS.{key}_DETAILS"), "options": options });
            Self::key(StatusCode::CONFLICT, key).with("message", details)
        };
        match refusal {
            Refusal::NoQueue => Self::key(StatusCode::NOT_FOUND, "QUEUE_NOT_FOUND"),
            Refusal::NoJob => Self::key(StatusCode::NOT_FOUND, "JOB_NOT_FOUND"),
            Refusal::NoScheduler => Self::key(StatusCode::NOT_FOUND, "JOB_SCHEDULER_NOT_FOUND"),
            Refusal::ReadOnly => Self::key(StatusCode::METHOD_NOT_ALLOWED, "QUEUE_READ_ONLY"),
            Refusal::NotRetriable { state } => {
                Self::key(BAD, "JOB_NOT_RETRIABLE").options(json!({ "state": state }))
            }
            Refusal::StatusNotRetriable => {
                Self::key(BAD, "STATUS_NOT_RETRIABLE").options(json!({ "status": id }))
            }
            Refusal::Active => detailed("JOB_IS_ACTIVE", json!({ "jobId": id })),
            Refusal::BelongsToScheduler(scheduler) => {
                let options = json!({ "jobId": id, "jobSchedulerId": scheduler });
                let mut problem = detailed("JOB_BELONGS_TO_JOB_SCHEDULER", options);
                problem.status = BAD;
                problem
                    .with("code", "JOB_BELONGS_TO_JOB_SCHEDULER".into())
                    .with("jobSchedulerId", scheduler.into())
            }
            Refusal::NotDelayed { state } => {
                Self::key(BAD, "JOB_NOT_DELAYED").options(json!({ "status": state }))
            }
            Refusal::NotPromotable => Self::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                &format!("Job {id} is not in the delayed state. promote"),
            ),
            Refusal::DataIsFixed => Self::key(BAD, "JOB_EDIT_NOT_SUPPORTED"),
            Refusal::NoUnprocessedChildren => Self::key(BAD, "JOB_HAS_NO_UNPROCESSED_CHILDREN"),
            Refusal::NotPaused => Self::key(BAD, "QUEUE_NOT_PAUSED"),
            Refusal::HasActiveJobs => {
                let details = json!({ "key": "ERRORS.QUEUE_HAS_ACTIVE_JOBS_DETAILS" });
                Self::key(StatusCode::CONFLICT, "QUEUE_HAS_ACTIVE_JOBS").with("message", details)
            }
            Refusal::BadPattern => Self::key(BAD, "INVALID_SCHEDULER_PATTERN"),
            Refusal::Busy => Self::text(StatusCode::CONFLICT, "the same is being done to this queue already"),
            Refusal::Rejected(reason) => Self::text(StatusCode::INTERNAL_SERVER_ERROR, &reason),
            Refusal::Failed(error) => Self::of(error),
        }
    }
}
