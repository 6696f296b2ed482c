//! The process per step.

/// Supervises one step; the process's whole task.
pub fn supervise() -> std::process::ExitCode {
    unimplemented!()
}
