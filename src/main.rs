//! Yagura: one process that keeps watch.
fn main() {}
