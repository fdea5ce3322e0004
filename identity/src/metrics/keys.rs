//! What is counted of signing keys.

use prometheus::{IntCounterVec, Opts, Registry};

/// What came of a key that was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RotationOutcome {
    /// This server has made the next one.
    Rotated,
    /// Another one was faster.
    Overtaken,
    /// Nobody has made one by this look.
    Failed,
}

impl RotationOutcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Rotated => "rotated",
            Self::Overtaken => "overtaken",
            Self::Failed => "failed",
        }
    }
}

/// The metrics of signing keys that are made on schedule.
#[derive(Debug, Clone)]
pub struct KeyMetrics {
    rotations: IntCounterVec,
}

impl KeyMetrics {
    /// Makes the metrics known to a registry.
    ///
    /// # Errors
    /// When the registry has one of these names already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let rotations = IntCounterVec::new(
            Opts::new(
                "postern_identity_key_rotations_total",
                "Signing keys that were due by the schedule, and what came of it.",
            ),
            &["outcome"],
        )?;
        registry.register(Box::new(rotations.clone()))?;
        Ok(Self { rotations })
    }

    pub(crate) fn rotation(&self, outcome: RotationOutcome) {
        self.rotations.with_label_values(&[outcome.as_str()]).inc();
    }

    #[cfg(test)]
    pub(crate) fn count(&self, outcome: RotationOutcome) -> u64 {
        self.rotations.with_label_values(&[outcome.as_str()]).get()
    }
}
