//! Placeholder of the layout.
fn main() {}
