//! The CPU twin: each operation by rayon, over segments and, within long ones, over chunks that do not depend on the number of threads.

pub(crate) mod histogram;
pub(crate) mod reduction;
pub(crate) mod running_best;
pub(crate) mod selection;
