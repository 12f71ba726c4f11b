//! Vectors that grow by a quarter.

/// Makes room for `more`. A vector that doubles is a quarter empty on average, and there may be a hundred million entries.
pub(super) fn make_room<T>(vector: &mut Vec<T>, more: usize) {
    if vector.capacity() - vector.len() < more {
        vector.reserve_exact(more.max(vector.len() / 4));
    }
}
