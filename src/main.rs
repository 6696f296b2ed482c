use std::process::ExitCode;

use slipway::executor::supervisor;

fn main() -> ExitCode {
    // A supervisor is a process of its own kind: it must not get the threads and handlers of a server.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == supervisor::SUPERVISE_ARGUMENT) {
        return supervisor::supervise();
    }
    ExitCode::SUCCESS
}
