//! (to be written)

use super::View;
use crate::error::Error;
use crate::space::Assignment;
use serde::{Deserialize, Serialize};

/// Settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TpeConfig {}

impl TpeConfig {
    pub(crate) fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// The model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tpe {
    config: TpeConfig,
}

impl Tpe {
    pub(crate) fn new(config: TpeConfig) -> Self {
        Self { config }
    }

    pub(crate) fn suggest(&mut self, _view: View<'_>) -> Option<Assignment> {
        None
    }
}
