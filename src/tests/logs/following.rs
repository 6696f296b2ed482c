//! Following a log live.

use futures::StreamExt;
use slipway::domain::ids::RunId;
use tokio::sync::watch;

use super::{append, assert_whole, numbers_of, take_until};
use crate::support::redis::{DEADLINE, Parts, until};

#[tokio::test]
async fn whoever_joins_gets_the_same_bytes_whenever_it_joins() {
    let Parts { app, .. } = &Parts::start().await;
    let run = &RunId::generate();
    let end = watch::Sender::new(None);
    let follow = || tokio::spawn(app.followers.follow(run.clone(), 0, end.subscribe()).collect::<Vec<_>>());
    let early = follow();
    app.logs.open(run, 1, 0).await.unwrap();
    append(app, run, 1, 1..=10).await;
    app.logs.archive(run, 6).await.unwrap();
    let amid = follow();
    app.logs.open(run, 2, 0).await.unwrap();
    append(app, run, 2, 11..=30).await;
    end.send_replace(Some(30));
    let mut all = Vec::new();
    for follower in [early, amid, follow()] {
        let events = tokio::time::timeout(DEADLINE, follower).await.expect("the end").unwrap();
        let events: Vec<_> = events.into_iter().map(Result::unwrap).collect();
        assert_whole(&numbers_of(&events), 0, 30);
        all.push(events.concat());
    }
    assert!(all.iter().all(|bytes| *bytes == all[0]));
    until("the tail ends with its last follower", async || app.followers.count() == 0).await;
}

#[tokio::test]
async fn two_hundred_followers_share_one_reader() {
    let Parts { app, .. } = &Parts::start().await;
    let run = &RunId::generate();
    let end = watch::Sender::new(None);
    app.logs.open(run, 1, 0).await.unwrap();
    append(app, run, 1, 1..=3).await;
    let followers: Vec<_> = (0..200)
        .map(|_| tokio::spawn(app.followers.follow(run.clone(), 0, end.subscribe()).collect::<Vec<_>>()))
        .collect();
    until("they have joined", async || app.followers.count() == 1).await;
    for n in (4..=40).step_by(4) {
        append(app, run, 1, n..=n + 3).await;
        assert!(app.followers.count() <= 1);
    }
    end.send_replace(Some(43));
    for follower in followers {
        let events = tokio::time::timeout(DEADLINE, follower).await.expect("the end").unwrap();
        let events: Vec<_> = events.into_iter().map(Result::unwrap).collect();
        assert_whole(&numbers_of(&events), 0, 43);
    }
    until("the tail ends with its last follower", async || app.followers.count() == 0).await;
}

#[tokio::test]
async fn who_falls_behind_the_ring_reads_the_store() {
    let Parts { app, .. } = &Parts::start().await;
    let run = &RunId::generate();
    let (_end, ended) = watch::channel(None);
    app.logs.open(run, 1, 0).await.unwrap();
    append(app, run, 1, 1..=3).await;
    let mut slow = std::pin::pin!(app.followers.follow(run.clone(), 0, ended.clone()));
    let mut quick = std::pin::pin!(app.followers.follow(run.clone(), 0, ended));
    take_until(slow.as_mut(), 3).await;
    take_until(quick.as_mut(), 3).await;
    // Both join the reader, which each does when it asks for more than there is.
    for follower in [slow.as_mut(), quick.as_mut()] {
        let mut follower = follower;
        let joined = futures::future::poll_immediate(follower.next());
        assert!(joined.await.is_none());
    }
    let last_n = 30_000;
    for n in (4..last_n).step_by(3_000) {
        let until_n = (n + 2_999).min(last_n);
        append(app, run, 1, n..=until_n).await;
        take_until(quick.as_mut(), until_n).await;
    }
    let events = take_until(slow, last_n).await;
    assert_whole(&numbers_of(&events), 3, last_n);
}

/// A client may ask for what follows a line that there is not. Others who follow the log must not notice.
#[tokio::test]
async fn who_asks_for_lines_far_ahead_does_not_keep_others_from_theirs() {
    let Parts { app, .. } = &Parts::start().await;
    let run = &RunId::generate();
    let (_end, ended) = watch::channel(None);
    app.logs.open(run, 1, 0).await.unwrap();
    append(app, run, 1, 1..=3).await;
    let ahead = tokio::spawn(take_until(app.followers.follow(run.clone(), 5, ended.clone()), 10));
    until("it has joined", async || app.followers.count() == 1).await;
    let mut other = std::pin::pin!(app.followers.follow(run.clone(), 0, ended));
    assert_whole(&numbers_of(&take_until(other.as_mut(), 3).await), 0, 3);
    append(app, run, 1, 4..=10).await;
    assert_whole(&numbers_of(&take_until(other, 10).await), 3, 10);
    assert_whole(&numbers_of(&ahead.await.unwrap()), 5, 10);
}
