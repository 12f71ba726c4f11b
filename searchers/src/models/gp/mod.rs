//! (to be written)

use super::View;
use crate::error::Error;
use crate::space::Assignment;
use serde::{Deserialize, Serialize};

/// Settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GpConfig {}

impl GpConfig {
    pub(crate) fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// The model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gp {
    config: GpConfig,
}

impl Gp {
    pub(crate) fn new(config: GpConfig) -> Self {
        Self { config }
    }

    pub(crate) fn suggest(&mut self, _view: View<'_>) -> Option<Assignment> {
        None
    }
}
