//! What a person does with a whole store: check it, write it down as text, make one from such a text.

mod check;
mod entry;
mod export;
mod import;
mod message;

pub use check::{Checked, ExperimentChecked, check};
pub use export::{Exported, export};
pub use import::{Imported, import};
