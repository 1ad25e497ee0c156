//! What a finished operation says in the log.

use std::fmt::Display;

use log::{info, warn};

use crate::error::{Error, Result};
use crate::log::Phases;

/// The one line of a detach, with the errors `force` went past.
pub fn log_detach(logger: &str, volume: &impl Display, outcome: &Result<Vec<Error>>, phases: &Phases) {
    let line = phases.line();
    match outcome {
        Ok(errors) if errors.is_empty() => info!(target: logger, "detached {volume}: {line}"),
        Ok(errors) => info!(target: logger, "detached {volume} with {} error(s): {line}", errors.len()),
        Err(error) => warn!(target: logger, "detach of {volume} failed: {} ({line})", error.describe()),
    }
}
