//! Wake-ups: a notice that is sent after listening began arrives.

use futures::FutureExt;

use crate::support::redis::{DEADLINE, Parts, until};

async fn subscribers(parts: &Parts, channel: &str) -> u64 {
    let key = parts.app.redis.key(channel);
    let answer: Vec<(String, u64)> =
        parts.app.redis.command(redis::cmd("PUBSUB").arg("NUMSUB").arg(key)).await.unwrap();
    answer[0].1
}

#[tokio::test]
async fn every_listener_of_a_channel_notices_and_the_last_ends_the_subscription() {
    let parts = Parts::start().await;
    let app = &parts.app;
    let mut listeners = Vec::new();
    for _ in 0..50 {
        listeners.push(app.wakeups.listen("news").await);
    }
    app.redis.wake(&["news"]).await.unwrap();
    for listener in &mut listeners {
        assert!(listener.wait(DEADLINE).await);
    }
    assert_eq!(subscribers(&parts, "news").await, 1);
    listeners.truncate(1);
    until("what came before is noticed", async || {
        app.redis.wake(&["news"]).await.unwrap();
        listeners[0].wait(DEADLINE).await
    })
    .await;
    drop(listeners);
    until("nobody listens", async || subscribers(&parts, "news").await == 0).await;
}

/// Whoever stops waiting for its listener leaves nothing behind.
#[tokio::test]
async fn listening_that_is_given_up_ends_the_subscription() {
    let parts = Parts::start().await;
    let kept = parts.app.wakeups.listen("other").await;
    // The queue of changes is filled, since nothing else runs meanwhile on this one thread.
    let mut listeners = Vec::new();
    for number in 0.. {
        let channel = format!("channel-{number}");
        match parts.app.wakeups.listen(&channel).now_or_never() {
            Some(listener) => listeners.push(listener),
            None => break,
        }
        assert!(number < 100_000);
    }
    let given_up = format!("channel-{}", listeners.len());
    drop(listeners);
    until("the queue is empty", async || subscribers(&parts, "other").await == 1).await;
    let mut again = parts.app.wakeups.listen(&given_up).await;
    until("it is listened to", async || subscribers(&parts, &given_up).await == 1).await;
    parts.app.redis.wake(&[&given_up]).await.unwrap();
    assert!(again.wait(DEADLINE).await);
    drop(again);
    until("nobody listens", async || subscribers(&parts, &given_up).await == 0).await;
    drop(kept);
}
