//! A comparison as a person or a program wants it: a table on the terminal, CSV, Parquet, JSON, plots, and one page of
//! HTML that needs no network.
//!
//! Nothing is judged here: every number comes from a [`Comparison`](crate::judge::Comparison).
//!
//! | module | holds |
//! |---|---|
//! | [`files`] | [`Report`]: the entry, and what is written into a folder |
//! | `terminal` | the table for a terminal |
//! | `tables` | CSV and Parquet |
//! | `plot` | charts as data, drawn as SVG and as PNG |
//! | `page` | the HTML page |

mod error;
pub mod files;
mod page;
mod plot;
mod tables;
mod terminal;

pub use error::Error;
pub use files::Report;
