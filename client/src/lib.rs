//! Placeholder while the dependencies compile.
