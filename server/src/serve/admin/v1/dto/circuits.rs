//! Circuits.

use postern_identity::admin::ShownCircuit;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::moment;

/// The circuit of a service, as all servers share it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Circuit {
    /// The service's name.
    pub service: String,
    /// CLOSED, OPEN or `HALF_OPEN`; what an operator says comes first.
    pub state: String,
    /// Until when an operator's word holds, where there is one.
    pub forced_until: Option<String>,
    /// When calls are tried again; none where they may be tried now, or pass.
    pub retry_at: Option<String>,
    /// Failures that were reported since calls have last come through.
    pub failures: u32,
    /// When the last one was.
    pub last_failure: Option<String>,
    /// How many Envoys have reported within the circuit's window.
    pub reporters: u32,
}

impl From<ShownCircuit> for Circuit {
    fn from(ShownCircuit { service, standing }: ShownCircuit) -> Self {
        Self {
            service,
            state: standing.state.as_str().to_owned(),
            forced_until: standing.forced.map(|forced| moment(forced.until)),
            retry_at: standing.retry_at.map(moment),
            failures: standing.failures,
            last_failure: standing.last_failure.map(moment),
            reporters: standing.reporters,
        }
    }
}

/// For how long a circuit is opened or closed.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CircuitForced {
    /// When that ends, in seconds from now.
    #[schema(minimum = 1, maximum = 604800)]
    pub expires_in: u64,
    /// Why, for the audit log, on one line.
    #[schema(min_length = 1, max_length = 200)]
    pub why: Option<String>,
}
