//! Whether those who have streams open may still do what they might when they opened them: each process looks once for
//! each token or session that has any, when it is told that something changed and every few seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

use crate::app::App;
use crate::domain::ids::TokenId;
use crate::domain::token::Actor;
use crate::services::tokens;

/// How often it is looked without a notice, which may be lost.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
const CHANNEL: &str = "access";

/// Who has streams open in this process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Standing(Arc<Mutex<HashMap<TokenId, Weak<Watched>>>>);

/// Somebody who has streams open. Watching ends with the last clone.
#[derive(Debug)]
pub struct Watched {
    opened: Actor,
    over: CancellationToken,
    _watching: DropGuard,
}

impl Watched {
    /// Waits until they may not any more what they might.
    pub async fn over(&self) {
        self.over.cancelled().await;
    }
}

/// Whether one may what the other may.
fn may_the_same(one: &Actor, other: &Actor) -> bool {
    one.role == other.role && one.grants == other.grants
}

/// None for the admin token, which changes with a new start only.
pub fn watch(app: &App, actor: &Actor) -> Option<Arc<Watched>> {
    let token = actor.token.clone()?;
    let mut all = app.standing.0.lock().unwrap_or_else(PoisonError::into_inner);
    let known = all.get(&token).and_then(Weak::upgrade);
    if let Some(known) =
        known.filter(|known| may_the_same(&known.opened, actor) && !known.over.is_cancelled())
    {
        return Some(known);
    }
    let (over, stop) = (CancellationToken::new(), CancellationToken::new());
    let watching = stop.clone().drop_guard();
    let watched = Arc::new(Watched { opened: actor.clone(), over: over.clone(), _watching: watching });
    all.insert(token.clone(), Arc::downgrade(&watched));
    let (app_too, opened) = (app.clone(), actor.clone());
    app.tasks.spawn(async move {
        stop.run_until_cancelled(look(&app_too, &token, &opened, &over)).await;
        let mut all = app_too.standing.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(&token).is_some_and(|watched| watched.strong_count() == 0) {
            all.remove(&token);
        }
    });
    Some(watched)
}

/// Somebody's access has changed: whoever has streams open is looked at anew. A notice that is lost is made up for by the
/// next look.
pub async fn changed(app: &App) {
    if let Err(error) = app.redis.wake(&[CHANNEL]).await {
        tracing::debug!(error = error.chain(), "A change of access was not announced");
    }
}

async fn look(app: &App, token: &TokenId, opened: &Actor, over: &CancellationToken) {
    let mut notices = app.wakeups.listen(CHANNEL).await;
    loop {
        match tokens::holder(app, token).await {
            Ok(Some(actor)) if may_the_same(&actor, opened) => {}
            // A database that is away ends nobody's stream.
            Err(error) => tracing::debug!(error = error.chain(), "Somebody's access could not be looked at"),
            Ok(_) => return over.cancel(),
        }
        notices.wait(LOOK_INTERVAL).await;
    }
}
