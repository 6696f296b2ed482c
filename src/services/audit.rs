//! The audit trail: who did what, from where, to which thing, with what outcome.
//!
//! Entries that come at the same time are committed together. Whoever is refused the same thing again and again fills
//! no table: what follows the first within a minute is counted, and said with the next entry.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::app::App;
use crate::domain::audit::{AuditEntry, Deed, Entry, Outcome, clean};
use crate::domain::ids::{AuditId, TokenId};
use crate::domain::time::now;
use crate::domain::token::Actor;
use crate::error::Result;
use crate::store;
use crate::store::page::{Page, PageRequest};

pub use crate::store::audit::AuditFilter;

/// Entries that wait for the database; more are left to the program's log.
const PENDING_MAX: usize = 10_000;
/// Entries of one commit.
const BATCH_MAX: usize = 256;
/// How long the same refusal is gathered.
const BURST: Duration = Duration::from_secs(60);
/// Different refusals that are gathered at a time.
const BURSTS_MAX: usize = 4_096;
/// Old entries that one statement removes, and how many statements a pass has.
const TRIM_ROWS: u64 = 1_000;
const TRIM_SLICES_MAX: u32 = 100;
/// The run that it makes says who asked for it and when, in the same commit: its entry need not be waited for.
const ON_RECORD: &str = "pipelines.trigger";

/// What is on its way to the database.
#[derive(Debug)]
pub struct Trail {
    pending: Mutex<Pending>,
    /// One writes at a time, for all who wait.
    turn: Semaphore,
    bursts: Mutex<HashMap<Refusal, Burst>>,
}

#[derive(Debug, Default)]
struct Pending {
    entries: Vec<Entry>,
    /// How many entries were ever given, and how many of them were taken to the database.
    given: u64,
    taken: u64,
}

/// Who was refused what.
type Refusal = (String, &'static str, Option<String>);

#[derive(Debug)]
struct Burst {
    began: Instant,
    more: u64,
}

impl Default for Trail {
    fn default() -> Self {
        Self { pending: Mutex::default(), turn: Semaphore::new(1), bursts: Mutex::default() }
    }
}

/// Records what somebody did, or tried.
pub async fn record(app: &App, actor: &Actor, deed: Deed) {
    record_call(app, actor, None, deed).await;
}

/// As `record`, of what a request asked for.
pub async fn record_call(app: &App, actor: &Actor, request_id: Option<&str>, deed: Deed) {
    write(app, Some(&actor.name), actor.token.clone(), actor.ip, request_id, deed).await;
}

/// Records what somebody tried whom nobody knows, or who only says to be `name`.
pub async fn record_stranger(app: &App, name: Option<&str>, ip: Option<IpAddr>, deed: Deed) {
    write(app, name, None, ip, None, deed).await;
}

/// Newest first.
pub async fn list(app: &App, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditEntry>> {
    store::audit::list(&app.store, filter, page).await
}

/// Removes what is older than the trail keeps, up to a bound: the next pass goes on. Whoever finds that others are at it
/// leaves it to them.
pub async fn trim(app: &App) -> Result<()> {
    let Some(keep) = app.config.audit.keep else { return Ok(()) };
    let before = now().minus(keep);
    let mut count = 0;
    for _ in 0..TRIM_SLICES_MAX {
        let removed = store::audit::trim(&app.store, before, TRIM_ROWS).await?;
        count += removed;
        if removed < TRIM_ROWS {
            break;
        }
    }
    // An entry of its own would be trimmed in turn, and so on for ever.
    if 0 < count {
        tracing::info!(count, %before, "{count} old entries of the audit trail are removed");
    }
    Ok(())
}

/// The deed is done already, so a database that refuses its entry undoes nothing: the program's log has it then.
async fn write(
    app: &App,
    name: Option<&str>,
    token: Option<TokenId>,
    ip: Option<IpAddr>,
    request_id: Option<&str>,
    mut deed: Deed,
) {
    if let Some(target) = &mut deed.target {
        target.id = clean(&target.id);
    }
    let who = match (name, ip) {
        (Some(name), _) => clean(name),
        (None, ip) => ip.map(|ip| ip.to_string()).unwrap_or_default(),
    };
    let Some(mut deed) = app.audit.gather(who, deed, Instant::now()) else { return };
    deed.detail = deed.detail.as_deref().map(clean);
    let is_on_record = deed.action == ON_RECORD && deed.outcome == Outcome::Done;
    let id = AuditId::generate();
    let entry = Entry {
        // Its own time: lists are narrowed by it, so another clock's reading could leave an entry out at its very instant.
        at: id.made_at(),
        id,
        actor: name.map(clean),
        token,
        ip,
        request_id: request_id.map(clean),
        deed,
    };
    // A task of its own, so that a request that is dropped takes nothing of others along.
    let committed = app.tasks.spawn({
        let app = app.clone();
        async move { app.audit.commit(&app, entry).await }
    });
    if !is_on_record {
        let _ = committed.await;
    }
}

impl Trail {
    /// The deed as it is to be recorded; none: it is counted only.
    fn gather(&self, who: String, deed: Deed, at: Instant) -> Option<Deed> {
        if deed.outcome != Outcome::Refused {
            return Some(deed);
        }
        let mut bursts = self.bursts.lock().unwrap_or_else(PoisonError::into_inner);
        if BURSTS_MAX <= bursts.len() {
            bursts.retain(|_, burst| at.duration_since(burst.began) < BURST);
        }
        let is_full = BURSTS_MAX <= bursts.len();
        let target = deed.target.as_ref().map(|target| target.id.clone());
        match bursts.get_mut(&(who.clone(), deed.action, target.clone())) {
            Some(burst) if at.duration_since(burst.began) < BURST => {
                burst.more += 1;
                None
            }
            Some(burst) => {
                let more = std::mem::take(&mut burst.more);
                burst.began = at;
                match (more, &deed.detail) {
                    (0, _) => Some(deed),
                    (more, Some(detail)) => {
                        let detail = format!("{detail} (and {more} times more since the last entry)");
                        Some(deed.saying(detail))
                    }
                    (more, None) => Some(deed.saying(format!("and {more} times more since the last entry"))),
                }
            }
            None if is_full => {
                tracing::info!(who, ?deed, "Too much is refused at a time to be kept in the audit trail");
                None
            }
            None => {
                bursts.insert((who, deed.action, target), Burst { began: at, more: 0 });
                Some(deed)
            }
        }
    }

    /// Returns once the entry is committed, by whomever.
    async fn commit(&self, app: &App, entry: Entry) {
        let mine = {
            let mut pending = self.pending();
            if PENDING_MAX <= pending.entries.len() {
                tracing::error!(?entry, "The audit trail is too far behind for an entry");
                return;
            }
            pending.entries.push(entry);
            pending.given += 1;
            pending.given
        };
        let Ok(_turn) = self.turn.acquire().await else { return };
        while let Some(batch) = self.batch(mine) {
            if let Err(error) = store::audit::insert(&app.store, &batch).await {
                tracing::error!(entries = ?batch, error = error.chain(), "The audit trail lacks entries");
            }
        }
    }

    /// What is to be written next; none: entry `mine` was.
    fn batch(&self, mine: u64) -> Option<Vec<Entry>> {
        let mut pending = self.pending();
        if mine <= pending.taken {
            return None;
        }
        let count = pending.entries.len().min(BATCH_MAX);
        pending.taken += count as u64;
        Some(pending.entries.drain(..count).collect())
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_refusal_is_said_once_a_minute_with_how_often_it_came() {
        let (trail, begin) = (Trail::default(), Instant::now());
        let refused = |seconds, who: &str| {
            let deed = Deed::refused("runs.cancel", "no").to("run", "1");
            let told = trail.gather(who.to_owned(), deed, begin + Duration::from_secs(seconds));
            told.map(|deed| deed.detail.unwrap_or_default())
        };
        assert_eq!(refused(0, "ann").as_deref(), Some("no"));
        assert_eq!(refused(1, "ann"), None);
        assert_eq!(refused(59, "ann"), None);
        assert_eq!(refused(59, "bob").as_deref(), Some("no"));
        assert_eq!(refused(61, "ann").as_deref(), Some("no (and 2 times more since the last entry)"));
        let done = Deed::done("runs.cancel").to("run", "1");
        assert!(trail.gather("ann".to_owned(), done, begin).is_some());
    }

    #[test]
    fn who_is_refused_ever_other_things_fills_no_memory() {
        let trail = Trail::default();
        let at = Instant::now();
        let told = (0..BURSTS_MAX + 10)
            .filter(|n| trail.gather(n.to_string(), Deed::refused("runs.cancel", "no"), at).is_some());
        assert_eq!(told.count(), BURSTS_MAX);
    }
}
