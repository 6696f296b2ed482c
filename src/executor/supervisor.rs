//! The process per step.
