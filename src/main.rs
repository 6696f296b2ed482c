//! The program: a supervisor of one step or a private Redis if it was started as such, else the command line.

use std::process::ExitCode;

use slipway::executor::{fence, supervisor};
use slipway::jobs::server;

fn main() -> ExitCode {
    // Before all else: a supervisor is single-threaded, small, and reads neither arguments nor settings.
    let first = std::env::args_os().nth(1);
    if first.as_deref().is_some_and(|argument| argument == supervisor::SUPERVISE_ARGUMENT) {
        return supervisor::supervise();
    }
    if first.as_deref().is_some_and(|argument| argument == fence::LAUNCH_ARGUMENT) {
        return fence::launch();
    }
    if first.as_deref().is_some_and(|argument| argument == server::HELPER_ARGUMENT) {
        return server::run_private();
    }
    // Fails only if there is a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    slipway::cli::main()
}
