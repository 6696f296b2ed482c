//! Wakes readers when a spool has grown.
//!
//! One inotify instance for the whole process, for ever: a user may have few of them, and closing one takes
//! milliseconds. Wake-ups are a help, not a promise: where there are none, on a network's file system for
//! one, readers look by themselves now and then.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use tokio::sync::Notify;

/// `None` where the system has no instance left.
static WATCHER: OnceLock<Option<Watcher>> = OnceLock::new();

#[derive(Debug)]
struct Watcher {
    inotify: OwnedFd,
    /// By watch descriptor. Locked while watches are added and removed, so that the two agree.
    watched: Mutex<HashMap<i32, Vec<Arc<Signal>>>>,
}

#[derive(Debug, Default)]
struct Signal {
    changed: Notify,
    closed: AtomicBool,
}

/// Wakes one reader of one file until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    signal: Arc<Signal>,
    descriptor: Option<i32>,
}

impl Watch {
    pub(super) fn new(path: &Path) -> Self {
        let signal = Arc::new(Signal::default());
        let descriptor = watcher().and_then(|watcher| watcher.add(path, &signal));
        Self { signal, descriptor }
    }

    /// Waits until the file may have changed since the last call. Cancel safe.
    pub(super) async fn changed(&self) {
        self.signal.changed.notified().await;
    }

    /// Whether somebody who wrote has closed the file since the last call.
    pub(super) fn take_closed(&self) -> bool {
        self.signal.closed.swap(false, Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let (Some(watcher), Some(descriptor)) = (watcher(), self.descriptor) {
            watcher.remove(descriptor, &self.signal);
        }
    }
}

fn watcher() -> Option<&'static Watcher> {
    WATCHER
        .get_or_init(|| {
            let inotify = inotify::init(CreateFlags::CLOEXEC).ok()?;
            std::thread::Builder::new().name("spool-watcher".to_owned()).spawn(listen).ok()?;
            Some(Watcher { inotify, watched: Mutex::default() })
        })
        .as_ref()
}

/// Runs for as long as the process.
fn listen() {
    // Waits until the instance is in its place.
    let Some(watcher) = watcher() else {
        return;
    };
    let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
    let mut reader = inotify::Reader::new(&watcher.inotify, &mut buffer);
    loop {
        match reader.next() {
            Ok(event) => watcher.dispatch(event.wd(), event.events()),
            Err(rustix::io::Errno::INTR) => {}
            // Readers look by themselves from here on.
            Err(_) => return,
        }
    }
}

impl Watcher {
    fn add(&self, path: &Path, signal: &Arc<Signal>) -> Option<i32> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let flags = WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE;
        let descriptor = inotify::add_watch(&self.inotify, path, flags).ok()?;
        watched.entry(descriptor).or_default().push(Arc::clone(signal));
        Some(descriptor)
    }

    fn remove(&self, descriptor: i32, signal: &Arc<Signal>) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signals) = watched.get_mut(&descriptor) {
            signals.retain(|other| !Arc::ptr_eq(other, signal));
            if signals.is_empty() {
                watched.remove(&descriptor);
                // It fails where the file is gone and the watch with it.
                let _ = inotify::remove_watch(&self.inotify, descriptor);
            }
        }
    }

    fn dispatch(&self, descriptor: i32, events: ReadFlags) {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let signals: Box<dyn Iterator<Item = &Arc<Signal>>> = if events.contains(ReadFlags::QUEUE_OVERFLOW) {
            Box::new(watched.values().flatten())
        } else {
            Box::new(watched.get(&descriptor).into_iter().flatten())
        };
        for signal in signals {
            if events.contains(ReadFlags::CLOSE_WRITE) {
                signal.closed.store(true, Ordering::Relaxed);
            }
            signal.changed.notify_one();
        }
    }
}
