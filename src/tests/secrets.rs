//! Secrets whose key changes, with the change interrupted wherever it waits.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::pin::pin;
use std::task::Poll;

use slipway::app::App;
use slipway::domain::pipeline::{Definition, parse};
use slipway::domain::run::Run;
use slipway::domain::secret::Secret;
use slipway::domain::token::{Actor, Role};
use slipway::error::Error;
use slipway::services::pipelines::{self, CreatePipeline};
use slipway::services::runs::{self, TriggerRun};
use slipway::services::secrets::{self, SetSecret};
use slipway::store;

use crate::support::redis::Parts;

/// More than are encrypted anew at a time.
const SECRETS: usize = 120;
const DEFINITION: &str = "steps: [{ name: a, run: 'true', secrets: [N0, N60, { name: N119, file: FILE }] }]";

fn actor() -> Actor {
    Actor::new("admin", Role::Admin)
}

async fn set(app: &App, name: &str, value: &str) {
    let request = SetSecret {
        name: name.to_owned(),
        pipeline: None,
        value: Secret::new(value.to_owned()),
        description: None,
        branches: Vec::new(),
        allow_untrusted: false,
    };
    secrets::set(app, &actor(), request).await.unwrap();
}

async fn run(app: &App) -> (Run, Definition) {
    let request = CreatePipeline {
        name: "build".to_owned(),
        repository: None,
        default_branch: None,
        definition: Some(DEFINITION.to_owned()),
        description: None,
        retention: None,
    };
    pipelines::create(app, &actor(), request).await.unwrap();
    let request = TriggerRun {
        pipeline: "build".to_owned(),
        branch: None,
        inputs: std::collections::BTreeMap::new(),
        idempotency_key: None,
    };
    (runs::trigger(app, &actor(), request).await.unwrap(), parse(DEFINITION).unwrap())
}

/// Gives up at the `turns`th time that the work waits for something. True: it came to its end before.
async fn interrupted<T>(work: impl Future<Output = Result<T, Error>>, turns: usize) -> bool {
    let mut work = pin!(work);
    let mut turn = 0;
    std::future::poll_fn(|context| {
        turn += 1;
        match work.as_mut().poll(context) {
            Poll::Ready(outcome) => {
                outcome.map(|_| ()).unwrap();
                Poll::Ready(true)
            }
            Poll::Pending if turn == turns => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

fn keys_in(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_change_of_the_key_may_be_interrupted_anywhere_and_no_secret_is_ever_out_of_reach() {
    let Parts { app, .. } = &Parts::start().await;
    for number in 0..SECRETS {
        set(app, &format!("N{number}"), &format!("value-of-{number}")).await;
    }
    let (run, definition) = run(app).await;
    let file = app.config.data_dir.join("secrets.key");
    let first = keys_in(&file);
    assert_eq!(first.len(), 1);

    let mut interruptions = 0;
    // Each time a little later than the time before, so that it is interrupted in all parts, with the key of the one
    // that was interrupted taken up by the next.
    let mut turns = 1;
    while !interrupted(secrets::rotate(&app.store, &app.keys, &[]), turns).await {
        interruptions += 1;
        turns += 1 + turns / 4;
        let given = secrets::for_step(app, &run, &definition.steps[0]).await.unwrap().unwrap();
        let given: Vec<&str> = given.iter().map(|given| given.value.reveal().as_str()).collect();
        assert_eq!(given, ["value-of-0", "value-of-60", "value-of-119"]);
        let keys = keys_in(&file);
        assert!(keys.len() <= 2 && keys.contains(&first[0]) || keys.len() == 1, "{keys:?}");
    }
    assert!(5 < interruptions, "it was interrupted {interruptions} times only");

    let keys = keys_in(&file);
    assert_eq!(keys.len(), 1);
    assert_ne!(keys, first);
    let used = store::secrets::key_ids(&app.store).await.unwrap();
    let ring = app.keys.current().await.unwrap().unwrap();
    assert_eq!(used, BTreeSet::from([ring.first_id().to_owned()]));
    let given = secrets::for_step(app, &run, &definition.steps[0]).await.unwrap().unwrap();
    assert!(given[2].is_file && given[2].variable == "FILE");

    // Without what has interrupted it, it is one call, and says what it did.
    let rotation = secrets::rotate(&app.store, &app.keys, &[]).await.unwrap();
    assert!(rotation.is_new);
    assert_eq!((rotation.secrets, rotation.dropped), (SECRETS as u64, vec![ring.first_id().to_owned()]));
}

#[tokio::test]
async fn a_key_stays_as_long_as_anything_is_stored_under_it() {
    let Parts { app, .. } = &Parts::start().await;
    set(app, "GOOD", "good-value-1").await;
    set(app, "SPOILT", "spoilt-value-1").await;
    let spoilt = store::secrets::find(&app.store, None, "SPOILT").await.unwrap().unwrap();
    let mut sealed = spoilt.sealed.clone();
    sealed.ciphertext[0] ^= 1;
    assert!(store::secrets::reseal(&app.store, &spoilt, &sealed).await.unwrap());

    let file = app.config.data_dir.join("secrets.key");
    for _ in 0..2 {
        let refused = secrets::rotate(&app.store, &app.keys, &[]).await.unwrap_err();
        assert!(matches!(&refused, Error::Conflict(why) if why.contains("SPOILT")), "{refused:?}");
        assert_eq!(keys_in(&file).len(), 2);
    }
    set(app, "SPOILT", "mended-value-1").await;
    let rotation = secrets::rotate(&app.store, &app.keys, &[]).await.unwrap();
    assert!(!rotation.is_new);
    assert_eq!((keys_in(&file).len(), rotation.dropped.len()), (1, 1));

    let elsewhere = ["other:1".to_owned()];
    let refused = secrets::rotate(&app.store, &app.keys, &elsewhere).await.unwrap_err();
    assert!(matches!(&refused, Error::Conflict(why) if why.contains("other:1")), "{refused:?}");
    assert_eq!(keys_in(&file).len(), 1);
}
