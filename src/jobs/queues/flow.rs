//! Jobs that wait for each other, as a tree.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::Value;

use super::{QueueName, Queues, StoredJob};
use crate::error::Result;

/// Jobs that a tree may have; more of them are cut off and said to be.
const NODES_MAX: usize = 200;
/// Parents that are climbed.
const CLIMB_MAX: usize = 100;

/// Which part of a tree is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowWindow {
    /// The job itself is the root, rather than the first of its parents.
    pub from_job: bool,
    /// Levels, the root included.
    pub depth: usize,
    /// Children of a job, of each kind.
    pub children_max: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    node_id: String,
    is_flow_node: bool,
    flow_root: Option<Node>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    id: String,
    name: String,
    progress: Value,
    state: &'static str,
    queue_name: &'static str,
    children: Vec<Node>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    #[serde(skip_serializing_if = "Dependencies::is_none")]
    dependencies: Dependencies,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    ignored_child_failure_reasons: BTreeMap<String, String>,
}

/// How many children there are of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Dependencies {
    processed: usize,
    unprocessed: usize,
    ignored: usize,
    failed: usize,
}

impl Dependencies {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn total(self) -> usize {
        self.processed + self.unprocessed + self.ignored + self.failed
    }
}

/// A tree is put together level by level, in a list in which children come after their parents.
struct Growing {
    node: Node,
    parent: Option<usize>,
    queue: QueueName,
    level: usize,
}

impl Queues {
    pub async fn flow(&self, name: QueueName, job: StoredJob, window: FlowWindow) -> Result<Flow> {
        let node_id = job.id.clone();
        let root = if window.from_job { Some((name, job)) } else { self.climb(name, job).await? };
        let Some((queue, job)) = root else {
            return Ok(Flow { node_id, is_flow_node: false, flow_root: None });
        };
        let tree = self.grow(queue, job, window).await?;
        let is_flow_node = tree.as_ref().is_some_and(|tree| !tree.children.is_empty());
        Ok(Flow { node_id, is_flow_node, flow_root: tree })
    }

    /// The job without a parent; none where a parent is gone, or of another queue than ours.
    async fn climb(&self, mut name: QueueName, mut job: StoredJob) -> Result<Option<(QueueName, StoredJob)>> {
        for _ in 0..CLIMB_MAX {
            let part = |name: &str| job.opts.pointer(&format!("/parent/{name}")).and_then(Value::as_str);
            let (Some(id), Some(queue)) = (part("id"), part("queue")) else { return Ok(Some((name, job))) };
            let Some((parent, id)) = self.job_of_key(&format!("{queue}:{id}")) else { return Ok(None) };
            let Some(found) = self.job(parent, &id).await? else { return Ok(None) };
            (name, job) = (parent, found);
        }
        Ok(None)
    }

    async fn grow(&self, queue: QueueName, job: StoredJob, window: FlowWindow) -> Result<Option<Node>> {
        let nodes_max = if window.depth <= 2 { NODES_MAX.max(window.children_max) } else { NODES_MAX };
        let root = Growing { node: self.node(queue, job).await?, parent: None, queue, level: 1 };
        let mut grown = vec![root];
        let mut at = 0;
        while let Some(Growing { node, queue, level, .. }) = grown.get(at) {
            let (id, level, total) = (node.id.clone(), *level, node.dependencies.total());
            let queue = *queue;
            let mut shown = 0;
            if level < window.depth && 0 < total {
                let keys = self.children(queue, &id, window.children_max).await?;
                for key in keys.into_iter().take(nodes_max.saturating_sub(grown.len())) {
                    let Some((queue, id)) = self.job_of_key(&key) else { continue };
                    let Some(job) = self.job(queue, &id).await? else { continue };
                    let node = self.node(queue, job).await?;
                    grown.push(Growing { node, parent: Some(at), queue, level: level + 1 });
                    shown += 1;
                }
            }
            if let Some(growing) = grown.get_mut(at) {
                growing.node.truncated = shown < total;
            }
            at += 1;
        }
        Ok(assemble(grown))
    }

    async fn node(&self, queue: QueueName, job: StoredJob) -> Result<Node> {
        let key = |of: &str| self.key(queue, &format!("{}:{of}", job.id));
        let mut pipeline = redis::pipe();
        pipeline
            .hlen(key("processed"))
            .scard(key("dependencies"))
            .zcard(key("unsuccessful"))
            .hlen(key("failed"));
        // BullMQ's names are not what they hold: `failed` has the failures that are ignored.
        let (processed, unprocessed, failed, ignored): (usize, usize, usize, usize) =
            self.redis.pipeline(&pipeline).await?;
        let reasons: HashMap<String, String> = match ignored {
            0 => HashMap::new(),
            _ => self.redis.command(redis::cmd("HGETALL").arg(key("failed"))).await?,
        };
        Ok(Node {
            state: self.state(queue, &job.id).await?,
            id: job.id,
            name: job.name,
            progress: job.progress,
            queue_name: queue.as_str(),
            children: Vec::new(),
            truncated: false,
            dependencies: Dependencies { processed, unprocessed, ignored, failed },
            ignored_child_failure_reasons: reasons.into_iter().collect(),
        })
    }

    /// The keys of a job's children: those that are done, those that are not, the failed, the ignored.
    async fn children(&self, queue: QueueName, id: &str, max: usize) -> Result<Vec<String>> {
        let key = |of: &str| self.key(queue, &format!("{id}:{of}"));
        let scan = |command: &str, of: &str| {
            let mut scan = redis::cmd(command);
            scan.arg(key(of)).arg(0).arg("COUNT").arg(max);
            scan
        };
        let mut pipeline = redis::pipe();
        pipeline
            .add_command(scan("HSCAN", "processed"))
            .add_command(scan("SSCAN", "dependencies"))
            .zrange(key("unsuccessful"), 0, isize::try_from(max).unwrap_or(isize::MAX) - 1)
            .add_command(scan("HSCAN", "failed"));
        type Scanned = (u64, Vec<String>);
        let (processed, unprocessed, failed, ignored): (Scanned, Scanned, Vec<String>, Scanned) =
            self.redis.pipeline(&pipeline).await?;
        let names = |scanned: Scanned| scanned.1.into_iter().step_by(2);
        let kinds = names(processed).take(max).chain(unprocessed.1.into_iter().take(max));
        Ok(kinds.chain(failed).chain(names(ignored).take(max)).take(max).collect())
    }
}

/// Puts each under its parent, from the last to the root.
fn assemble(mut grown: Vec<Growing>) -> Option<Node> {
    while let Some(Growing { mut node, parent, .. }) = grown.pop() {
        node.children.reverse();
        match parent.and_then(|at| grown.get_mut(at)) {
            Some(parent) => parent.node.children.push(node),
            None => return Some(node),
        }
    }
    None
}
