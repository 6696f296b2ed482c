//! The program: a supervisor of one step if it was started as such, else the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before all else: a supervisor is single-threaded, small, and reads neither arguments nor settings.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "__supervise") {
        return slipway::executor::supervisor::supervise();
    }
    // Fails only if there is a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    slipway::cli::main()
}
