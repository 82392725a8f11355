//! The handlers of messages about the station as a whole, independent of the version of OCPP.

use std::sync::Arc;

use ocpp_transport::{CallError, Peer, Registration, Reply};
use ocpp_types::Version;
use program::causes;
use station_store::CertificateSigningUse;

use crate::io::{
    connection::{signals::Signals, state::ConnectionState},
    csms,
    renewal::{RenewError, requests::Renewals},
};

/// Answers the messages about the station as a whole.
#[derive(Debug)]
pub(crate) struct StationHandlers {
    pub(crate) connection: Arc<ConnectionState>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) renewals: Arc<Renewals>,
}

/// The message that TriggerMessage selects (1.6: ExtendedTriggerMessage).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    BootNotification,
    Heartbeat,
    /// SignCertificate, for the EVSE in the request.
    Sign {
        use_: CertificateSigningUse,
        evse: Option<i64>,
    },
    /// A message that this station does not send.
    Other,
}

/// The answer to TriggerMessage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TriggerAnswer {
    Accepted,
    Rejected,
    NotImplemented,
}

/// The part of the station to reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResetOf {
    Station,
    /// One EVSE, which cannot be restarted separately.
    Evse,
}

/// The answer to a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResetAnswer {
    Accepted,
    Rejected,
}

impl StationHandlers {
    /// Refuses a call of a CSMS that has rejected the station.
    pub(crate) fn permit(&self) -> Result<(), CallError> {
        self.connection.permit()
    }

    /// Restarts the station as a whole after the answer has been sent.
    pub(crate) fn reset(self: Arc<Self>, of: ResetOf) -> Reply<ResetAnswer> {
        match of {
            ResetOf::Evse => Reply::new(ResetAnswer::Rejected),
            ResetOf::Station => {
                Reply::new(ResetAnswer::Accepted).then(async move { self.signals.reset.notify_one() })
            }
        }
    }

    /// Answers a request for a message, which follows the answer (F06.FR.04).
    pub(crate) async fn trigger(self: Arc<Self>, peer: Peer, wanted: Trigger) -> Reply<TriggerAnswer> {
        let accepted = Reply::new(TriggerAnswer::Accepted);
        match wanted {
            // A02: the response is sent first, then the key is generated and the request sent
            // (F06.FR.04, A02.FR.02). The promise is durable before the response (F06.FR.10).
            Trigger::Sign { use_, evse } => match self.renewals.promise(use_, evse).await {
                Ok(promises) => accepted.then(async move {
                    // A00.FR.807: a station that is Pending also sends triggered messages
                    // (B02.FR.02).
                    if self.connection.registration() != Registration::NotBooted {
                        self.renewals.state().handle_connected(&peer);
                    }
                    drop(promises);
                }),
                // F06.FR.08, TC_F_27
                Err(RenewError::NotServed) => Reply::new(TriggerAnswer::NotImplemented),
                Err(error) => {
                    tracing::error!(error = %causes(&error), "a certificate is not asked for");
                    Reply::new(TriggerAnswer::Rejected)
                }
            },
            Trigger::Heartbeat => accepted.then(async move {
                if let Err(error) = csms::heartbeat(&peer).await {
                    tracing::warn!(error = %causes(&error), "the triggered heartbeat was not answered");
                }
            }),
            // F06.FR.17, which 1.6 does not have.
            Trigger::BootNotification
                if self.connection.registration() == Registration::Accepted
                    && peer.version() != Version::V16 =>
            {
                Reply::new(TriggerAnswer::Rejected)
            }
            Trigger::BootNotification => accepted.then(async move { self.signals.boot.notify_one() }),
            Trigger::Other => Reply::new(TriggerAnswer::NotImplemented),
        }
    }
}
