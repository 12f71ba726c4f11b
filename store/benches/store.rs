//! Figures of the store; see each function. Run: `cargo bench -p toprung-store`.
fn main() {}
