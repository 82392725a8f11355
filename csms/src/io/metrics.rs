//! What the service counts, as Prometheus reads it.

use std::{fmt, time::Duration};

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tokio::time::sleep;

/// The metrics of this process; [`ocpp_transport::metrics`] and [`signer_pkcs11::metrics`] list them.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

/// Why nothing can be counted.
#[derive(Debug, thiserror::Error)]
#[error("the metrics cannot be collected; does the process have another recorder?")]
pub struct MetricsError(#[source] BuildError);

impl Metrics {
    /// Makes this process count. Call it once, before [`Server::bind`](crate::Server::bind).
    ///
    /// # Errors
    /// If the process has a recorder already.
    pub fn install() -> Result<Self, MetricsError> {
        let builder = PrometheusBuilder::new().set_buckets(BUCKETS).map_err(MetricsError)?;
        Ok(Self(builder.install_recorder().map_err(MetricsError)?))
    }

    /// Everything that was counted, in the text format of Prometheus.
    pub(crate) fn text(&self) -> String {
        self.0.render()
    }

    /// Sorts measured times into their buckets, so that they do not pile up where nobody asks for them.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn sort(&self) {
        loop {
            sleep(SORTING).await;
            self.0.run_upkeep();
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics")
    }
}

/// In seconds: from an answer out of memory to the longest that a call may take.
const BUCKETS: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

const SORTING: Duration = Duration::from_secs(5);
