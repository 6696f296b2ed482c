//! What is asked of Bull Board's API, taken apart and checked, in the order in which the original checks.

use serde_json::{Map, Value, json};

use crate::domain::time::{Timestamp, now};
use crate::services::queues::{Change, FlowWindow, JobChange, JobStatus, NewJob, RateLimit, Schedule};

/// The priority that comes last.
pub(super) const PRIORITY_MAX: u64 = 2_097_151;
const JOBS_PER_PAGE_MAX: u64 = 300;
const JOBS_PER_PAGE: u64 = 10;

/// A request that is well-formed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Call {
    Read(Read),
    PauseAll,
    ResumeAll,
    Change { queue: String, change: Change },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Read {
    Stats,
    Queues(Page),
    /// Of one queue, or of all.
    Schedulers(Option<String>),
    Queue(String, QueueRead),
    Job(String, String, JobRead),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QueueRead {
    Metrics,
    DefaultJobOptions,
    Workers,
    RateLimit,
    DataSchema,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobRead {
    Job,
    Log,
    Flow(FlowWindow),
}

/// Which jobs are listed beside the queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    pub queue: Option<String>,
    pub status: Status,
    pub page: u64,
    pub jobs_per_page: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Latest,
    Of(JobStatus),
    /// BullMQ 5 had such jobs.
    Paused,
}

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    Query(&'static str),
    Body(&'static str),
    /// Something that has a message of its own.
    Key(&'static str),
}

type Parsed<T> = Result<T, Wrong>;

/// None: there is no such route.
pub(super) fn parse(method: &str, path: &[&str], query: &str, body: &Value) -> Option<Parsed<Call>> {
    let read = |read: Read| Some(Ok(Call::Read(read)));
    match (method, path) {
        ("GET", ["redis", "stats"]) => read(Read::Stats),
        ("GET", ["queues"]) => Some(page(query).map(|page| Call::Read(Read::Queues(page)))),
        ("GET", ["job-schedulers"]) => {
            Some(text(query, "queueName").map(|queue| Call::Read(Read::Schedulers(queue))))
        }
        ("GET", ["queues", queue, rest @ ..]) => {
            let queue = (*queue).to_owned();
            let of_queue = match rest {
                ["metrics"] => QueueRead::Metrics,
                ["default-job-options"] => QueueRead::DefaultJobOptions,
                ["workers"] => QueueRead::Workers,
                ["rate-limit"] => QueueRead::RateLimit,
                ["job-data-schema"] => QueueRead::DataSchema,
                [id] => return read(Read::Job(queue, (*id).to_owned(), JobRead::Job)),
                [id, "logs"] => return read(Read::Job(queue, (*id).to_owned(), JobRead::Log)),
                [id, "flow"] => {
                    return read(Read::Job(queue, (*id).to_owned(), JobRead::Flow(window(query))));
                }
                _ => return None,
            };
            read(Read::Queue(queue, of_queue))
        }
        ("PUT", ["queues", "pause"]) => Some(Ok(Call::PauseAll)),
        ("PUT", ["queues", "resume"]) => Some(Ok(Call::ResumeAll)),
        (method, ["queues", queue, rest @ ..]) => {
            let change = change(method, rest, body)?;
            Some(change.map(|change| Call::Change { queue: (*queue).to_owned(), change }))
        }
        _ => None,
    }
}

fn change(method: &str, path: &[&str], body: &Value) -> Option<Parsed<Change>> {
    let owned = |text: &str| text.to_owned();
    let job = |id: &str, change: JobChange| Some(Ok(Change::Job(owned(id), change)));
    Some(match (method, path) {
        ("POST", ["add"]) => add(body).map(Change::Add),
        ("PUT", ["retry", status]) => Ok(Change::RetryAll(JobStatus::parse(status))),
        ("PUT", ["promote"]) => Ok(Change::PromoteAll),
        ("PUT", ["clean", status]) => {
            let status = if *status == "wait" { "waiting" } else { status };
            Ok(Change::Clean(JobStatus::parse(status)))
        }
        ("PUT", ["pause"]) => Ok(Change::Pause),
        ("PUT", ["resume"]) => Ok(Change::Resume),
        ("PUT", ["concurrency"]) => match body.get("concurrency").and_then(Value::as_u64) {
            Some(concurrency) => Ok(Change::Concurrency(concurrency)),
            None => Err(Wrong::Key("INVALID_CONCURRENCY")),
        },
        ("PUT", ["rate-limit"]) => rate_limit(body).map(Change::RateLimit),
        ("PUT", ["rate-limit", "release"]) => Ok(Change::ReleaseRateLimit),
        ("PUT", ["empty"]) => Ok(Change::Empty),
        ("PUT", ["obliterate"]) => match body.get("force") {
            None => Ok(Change::Obliterate { force: false }),
            Some(Value::Bool(force)) => Ok(Change::Obliterate { force: *force }),
            Some(_) => Err(Wrong::Body("force")),
        },
        ("PUT", ["job-schedulers", id, "remove"]) => Ok(Change::RemoveScheduler(owned(id))),
        ("PUT", ["job-schedulers", id, "run"]) => Ok(Change::RunScheduler(owned(id))),
        ("PATCH", ["job-schedulers", id]) => {
            schedule(body).map(|schedule| Change::EditScheduler(owned(id), schedule))
        }
        ("PUT", [id, "retry"]) => return job(id, JobChange::Retry),
        ("PUT", [id, "clean"]) => return job(id, JobChange::Remove),
        ("PUT", [id, "promote"]) => return job(id, JobChange::Promote),
        ("PUT", [id, "remove-unprocessed-children"]) => return job(id, JobChange::RemoveUnprocessedChildren),
        ("PATCH", [id, "update-data"]) => match body.get("jobData") {
            Some(_) => Ok(Change::Job(owned(id), JobChange::EditData)),
            None => Err(Wrong::Body("jobData")),
        },
        ("PATCH", [id, "delay"]) => match body.get("runAt").and_then(Value::as_f64) {
            Some(at) => Ok(Change::Job(owned(id), JobChange::Delay(Timestamp::from_millis(at as i64)))),
            None => Err(Wrong::Key("INVALID_RUN_AT")),
        },
        ("PATCH", [id, "priority"]) => {
            let priority = body.get("priority").and_then(Value::as_u64).filter(|it| *it <= PRIORITY_MAX);
            match priority.and_then(|priority| u32::try_from(priority).ok()) {
                Some(priority) => Ok(Change::Job(owned(id), JobChange::Prioritize(priority))),
                None => Err(Wrong::Key("INVALID_PRIORITY")),
            }
        }
        _ => return None,
    })
}

fn add(body: &Value) -> Parsed<NewJob> {
    let name = match body.get("name") {
        None => String::new(),
        Some(Value::String(name)) => name.clone(),
        Some(_) => return Err(Wrong::Body("name")),
    };
    let options = match body.get("options") {
        None => Value::Object(Map::new()),
        Some(options @ Value::Object(_)) => options.clone(),
        Some(_) => return Err(Wrong::Body("options")),
    };
    Ok(NewJob { name, data: body.get("data").cloned().unwrap_or(Value::Null), options })
}

fn rate_limit(body: &Value) -> Parsed<Option<RateLimit>> {
    const WRONG: Wrong = Wrong::Key("INVALID_RATE_LIMIT");
    if body.get("max").is_none_or(Value::is_null) {
        return Ok(None);
    }
    let number = |name: &str| body.get(name).and_then(Value::as_u64).filter(|number| 1 <= *number);
    match (number("max"), number("duration")) {
        (Some(max), Some(duration)) => Ok(Some(RateLimit { max, duration })),
        _ => Err(WRONG),
    }
}

fn schedule(body: &Value) -> Parsed<Schedule> {
    let is_given = |name: &str| body.get(name).is_some_and(|value| !value.is_null());
    if is_given("pattern") == is_given("every") {
        return Err(Wrong::Key("INVALID_SCHEDULER_SCHEDULE"));
    }
    let pattern = match body.get("pattern") {
        Some(Value::String(pattern)) if !pattern.trim().is_empty() => Some(pattern.clone()),
        None | Some(Value::Null) => None,
        Some(_) => return Err(Wrong::Key("INVALID_SCHEDULER_SCHEDULE")),
    };
    let every = match body.get("every") {
        None | Some(Value::Null) => None,
        Some(given) => {
            let number = given.as_u64().or_else(|| given.as_str()?.trim().parse().ok());
            Some(number.filter(|every| 0 < *every).ok_or(Wrong::Key("INVALID_SCHEDULER_INTERVAL"))?)
        }
    };
    let limit = match body.get("limit") {
        None | Some(Value::Null) => None,
        Some(given) => {
            let limit = given.as_u64().filter(|limit| 0 < *limit);
            Some(limit.ok_or(Wrong::Key("INVALID_SCHEDULER_LIMIT"))?)
        }
    };
    let end_date = match body.get("endDate") {
        None | Some(Value::Null) => None,
        Some(given) => {
            let is_ahead = |at: &u64| u64::try_from(now().as_millis()).is_ok_and(|now| now < *at);
            Some(given.as_u64().filter(is_ahead).ok_or(Wrong::Key("INVALID_SCHEDULER_END_DATE"))?)
        }
    };
    let tz = match body.get("tz") {
        None | Some(Value::Null) => None,
        Some(Value::String(tz)) => Some(tz.clone()),
        Some(_) => return Err(Wrong::Body("tz")),
    };
    Ok(Schedule { pattern, every, tz, limit, end_date })
}

fn page(query: &str) -> Parsed<Page> {
    let status = match text(query, "status")?.as_deref() {
        None | Some("latest") => Status::Latest,
        Some("paused") => Status::Paused,
        Some(status) => Status::Of(JobStatus::parse(status).ok_or(Wrong::Query("status"))?),
    };
    let number = |name: &'static str, default: u64, max: u64| match text(query, name)? {
        None => Ok(default),
        Some(text) => match text.parse() {
            Ok(number) if 1 <= number && number <= max => Ok(number),
            _ => Err(Wrong::Query(name)),
        },
    };
    let page = number("page", 1, u64::from(u32::MAX))?;
    let jobs_per_page = number("jobsPerPage", JOBS_PER_PAGE, JOBS_PER_PAGE_MAX)?;
    Ok(Page { queue: text(query, "activeQueue")?, status, page, jobs_per_page })
}

/// Anything that cannot be read falls back to what is usual.
fn window(query: &str) -> FlowWindow {
    let number = |name: &'static str, default: usize, max: usize| {
        let given = text(query, name).ok().flatten();
        given.and_then(|text| text.parse::<usize>().ok()).unwrap_or(default).clamp(1, max)
    };
    FlowWindow {
        from_job: text(query, "root").ok().flatten().as_deref() == Some("node"),
        depth: number("depth", 10, 20),
        children_max: number("maxChildren", 20, 1_000),
    }
}

/// An empty value counts as none, and two of them as wrong.
fn text(query: &str, name: &'static str) -> Parsed<Option<String>> {
    let mut given = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    match (given.next(), given.next()) {
        (_, Some(_)) => Err(Wrong::Query(name)),
        (Some((_, value)), None) if !value.is_empty() => Ok(Some(value.into_owned())),
        _ => Ok(None),
    }
}

/// What the interpolation of a message needs.
pub(super) fn options_of(key: &str) -> Option<Value> {
    (key == "INVALID_PRIORITY").then(|| json!({ "max": PRIORITY_MAX }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(method: &str, path: &str, body: Value) -> Option<Parsed<Call>> {
        let path: Vec<&str> = path.split('/').collect();
        parse(method, &path, "", &body)
    }

    #[test]
    fn words_of_the_api_go_before_ids_of_jobs() {
        let changes = [
            ("queues/q/rate-limit/release", Change::ReleaseRateLimit),
            ("queues/q/retry/failed", Change::RetryAll(Some(JobStatus::Failed))),
            ("queues/q/a/retry", Change::Job("a".to_owned(), JobChange::Retry)),
            ("queues/q/pause", Change::Pause),
        ];
        for (path, change) in changes {
            let expected = Some(Ok(Call::Change { queue: "q".to_owned(), change }));
            assert_eq!(parsed("PUT", path, json!({})), expected, "{path}");
        }
        assert_eq!(parsed("PUT", "queues/pause", json!({})), Some(Ok(Call::PauseAll)));
        assert_eq!(parsed("DELETE", "queues/q/a", json!({})), None);
    }

    #[test]
    fn a_number_is_whole_and_within_its_bounds() {
        for wrong in [json!({}), json!({ "concurrency": "3" }), json!({ "concurrency": -1 })] {
            let refused = parsed("PUT", "queues/q/concurrency", wrong);
            assert_eq!(refused, Some(Err(Wrong::Key("INVALID_CONCURRENCY"))));
        }
        let refused = parsed("PATCH", "queues/q/a/priority", json!({ "priority": PRIORITY_MAX + 1 }));
        assert_eq!(refused, Some(Err(Wrong::Key("INVALID_PRIORITY"))));
        assert_eq!(page("page=0"), Err(Wrong::Query("page")));
        assert_eq!(page("status=a&status=b"), Err(Wrong::Query("status")));
        assert_eq!(page("jobsPerPage=301"), Err(Wrong::Query("jobsPerPage")));
        let empty = page("activeQueue=&status=&page=&jobsPerPage=").unwrap();
        assert_eq!(empty, Page { queue: None, status: Status::Latest, page: 1, jobs_per_page: 10 });
    }
}
