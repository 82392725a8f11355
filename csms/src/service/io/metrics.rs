//! The metrics of the service, in the format of Prometheus.
//!
//! | name | kind | unit | labels |
//! |---|---|---|---|
//! | `csms_clock_steps_total` | counter | steps of the clock | `direction`: `ahead`, `back` |
//! | `csms_clock_in_doubt` | gauge | 1 while a clock that was moved is not trusted yet | |
//! | `csms_certificates_not_yet_valid` | gauge | stations' certificates that are not valid yet | |
//! | `csms_own_certificate_valid` | gauge | 0 while the served certificate is not valid, else 1 | |
//! | `csms_ledger_writable` | gauge | 0 after an incomplete change of the ledger, else 1 | |
//! | `csms_ledger_changes_per_commit` | histogram | changes of the ledger per commit | |
//! | `csms_renewal_failing` | gauge | 1 while a renewal that is due fails, else 0 | `of` |
//!
//! `of` is `own_certificate` or `revocation_lists`.

use std::{fmt, time::Duration};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::sleep;

/// The metrics of this process; [`ocpp_transport::metrics`] and [`signer_pkcs11::metrics`] list
/// them.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

/// Why metrics cannot be collected.
#[derive(Debug, thiserror::Error)]
#[error("the metrics cannot be collected; does the process have another recorder?")]
pub struct MetricsError(#[source] BuildError);

impl Metrics {
    /// Starts the collection in this process. Call it once, before
    /// [`Server::bind`](crate::Server::bind).
    ///
    /// # Errors
    /// If the process already has a recorder.
    pub fn install() -> Result<Self, MetricsError> {
        let changes = Matcher::Full(CHANGES_PER_COMMIT.to_owned());
        let builder = PrometheusBuilder::new().set_buckets(BUCKETS).map_err(MetricsError)?;
        let builder = builder.set_buckets_for_metric(changes, CHANGES).map_err(MetricsError)?;
        Ok(Self(builder.install_recorder().map_err(MetricsError)?))
    }

    /// All metrics, in the text format of Prometheus.
    pub(crate) fn text(&self) -> String {
        self.0.render()
    }

    /// Sorts measured times into their buckets, so that they do not accumulate if they are not
    /// read.
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

/// In seconds: from an answer out of memory to the longest duration of a call.
const BUCKETS: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

/// From a commit of one change to the longest.
const CHANGES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// The number of times that the system's clock was moved.
pub(crate) const CLOCK_STEPS: &str = "csms_clock_steps_total";
/// Whether a clock that was moved is not trusted yet.
pub(crate) const CLOCK_IN_DOUBT: &str = "csms_clock_in_doubt";
/// Certificates of stations that were issued while the clock was ahead.
pub(crate) const NOT_YET_VALID: &str = "csms_certificates_not_yet_valid";
/// Whether the certificate that is served is valid.
pub(crate) const OWN_CERTIFICATE_VALID: &str = "csms_own_certificate_valid";
/// Whether the last change of the ledger was completed.
pub(crate) const LEDGER_WRITABLE: &str = "csms_ledger_writable";
/// Changes of the ledger that were made durable by one commit.
pub(crate) const CHANGES_PER_COMMIT: &str = "csms_ledger_changes_per_commit";
/// Whether a renewal that is due fails.
pub(crate) const RENEWAL_FAILING: &str = "csms_renewal_failing";

const SORTING: Duration = Duration::from_secs(5);
