//! What became of a script's cases.

use std::collections::BTreeMap;
use std::fmt;

/// The outcome of a script.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) passed: usize,
    /// Line, expression and reason of each case that failed.
    pub(crate) failed: Vec<String>,
    /// How many cases were skipped, by reason.
    pub(crate) skipped: BTreeMap<&'static str, usize>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped: usize = self.skipped.values().sum();
        let failed = self.failed.len();
        write!(
            f,
            "{} passed, {failed} failed, {skipped} skipped",
            self.passed
        )?;
        for (reason, count) in &self.skipped {
            write!(f, "\n  skipped {count}: {reason}")?;
        }
        for case in &self.failed {
            write!(f, "\n  failed {case}")?;
        }
        Ok(())
    }
}
