//! Slipway from outside: its parts with the real things that they work with.

mod definition;
