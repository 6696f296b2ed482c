//! The procedures over HTTP: roles, inputs, errors, and what each answers. Redis is away in all of it: what is
//! asked here must work without.

mod access;
mod audit;
mod inputs;
mod pipelines;
mod rest;
mod runs;
mod server;
mod tickets;
