//! The program: the private Redis's helper if it was started as such, else the command line.

use std::process::ExitCode;

use slipway::jobs::server;

fn main() -> ExitCode {
    // Before anything starts a thread: the helper becomes the Redis server.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == server::HELPER_ARGUMENT) {
        return server::run_private();
    }
    ExitCode::SUCCESS
}
