//! Foreign bytes of every kind against what reads them: `make fuzz` has these go on for longer.

mod definition;
mod engines;
mod masking;
pub(crate) mod mutate;
mod rest;
mod resume;
mod settings;
mod site;
mod stored;
mod trpc;
