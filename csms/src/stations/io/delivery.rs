//! CertificateSigned: sends stations the certificates that are due to them.

use certificates::{SerialNumber, StationIdentity};
use ocpp_transport::{CallFailure, Peer};
use program::causes;

use crate::{
    fleet::io::ahead::is_early,
    ledger::{Delivery, Ledger, LedgerEntry, MAX_ATTEMPTS, wait_after},
    service::io::clock::{ServiceClock, unix_now},
    stations::{
        connection::Terms,
        io::{
            requests::{NotSent, longest_chain, send_certificate},
            turns::Turns,
        },
    },
};

/// Delivers certificates.
#[derive(Debug)]
pub(crate) struct Deliveries {
    ledger: Ledger,
    clock: ServiceClock,
    /// One delivery to a station runs at a time.
    turns: Turns,
}

impl Deliveries {
    pub(crate) fn new(ledger: Ledger, clock: ServiceClock) -> Self {
        Self { ledger, clock, turns: Turns::default() }
    }

    /// Sends the station the certificates that are due to it, oldest first.
    pub(crate) async fn deliver(&self, peer: &Peer) {
        let turn = self.turns.of(peer.identity()).await;
        let _turn = turn.lock().await;
        self.deliver_due(peer).await;
    }

    /// Sends the station again the certificates that are due to it, unless a delivery to it is
    /// running.
    pub(crate) async fn deliver_again(&self, peer: &Peer) {
        let turn = self.turns.of(peer.identity()).await;
        if let Ok(_turn) = turn.try_lock() {
            self.deliver_due(peer).await;
        }
    }

    async fn deliver_due(&self, peer: &Peer) {
        let station = peer.identity();
        let due = match self.ledger.due(station, unix_now()).await {
            Ok(due) => due,
            Err(error) => {
                return tracing::error!(
                    %station,
                    error = %causes(&error),
                    "nothing was delivered"
                );
            }
        };
        let present = self.clock.times().present;
        for entry in due {
            if is_early(&entry, present) {
                tracing::warn!(
                    %station,
                    serial_number = %entry.serial_number,
                    "the certificate was issued while the clock was ahead, and is not sent before it is valid"
                );
                continue;
            }
            match self.ledger.check_signed(&entry).await {
                Ok(None) => {}
                Ok(Some(mismatch)) => {
                    metrics::counter!("csms_certificates_not_as_signed_total").increment(1);
                    tracing::error!(
                        %station,
                        serial_number = %entry.serial_number,
                        reason = %mismatch,
                        "a certificate in the ledger is not what was signed, and is not sent; run `ocpp-csms audit verify`"
                    );
                    continue;
                }
                Err(error) => {
                    return tracing::error!(
                        %station,
                        error = %causes(&error),
                        "nothing was delivered"
                    );
                }
            }
            let state = match self.send(peer, &entry).await {
                Ok(state) => state,
                Err(error) => {
                    if error.was_sent() {
                        self.count_attempt(station, entry.serial_number, &error).await;
                    } else {
                        tracing::warn!(%station, serial_number = %entry.serial_number, error = %causes(&error), "the certificate waits for the next connection");
                    }
                    // A certificate that the station cannot accept does not delay later ones.
                    match error {
                        NotSent::Version { .. }
                        | NotSent::Chain
                        | NotSent::Call(
                            CallFailure::CallError { .. }
                            | CallFailure::InvalidResponse(_)
                            | CallFailure::Unreadable(_),
                        ) => continue,
                        NotSent::Call(_) => return,
                    }
                }
            };
            tracing::info!(
                %station,
                serial_number = %entry.serial_number,
                ?state,
                "the station answered CertificateSigned"
            );
            if let Err(error) = self.ledger.answered(entry.serial_number, &state, unix_now()).await {
                tracing::error!(
                    %station,
                    error = %causes(&error),
                    "the station's answer was not recorded"
                );
            }
        }
    }

    /// Counts a certificate that was sent and has no answer.
    async fn count_attempt(&self, station: &StationIdentity, serial_number: SerialNumber, error: &NotSent) {
        let reason = causes(error).to_string();
        match self.ledger.not_answered(serial_number, &reason, unix_now()).await {
            Ok(MAX_ATTEMPTS..) => tracing::error!(
                %station,
                %serial_number,
                reason,
                "the certificate was sent {MAX_ATTEMPTS} times without an answer, and is not sent again; \
                 use `ocpp-csms trigger` with SignChargingStationCertificate to start again"
            ),
            Ok(attempts) => tracing::warn!(
                %station,
                %serial_number,
                reason,
                attempts,
                wait_seconds = wait_after(attempts).as_secs(),
                "the certificate was not answered, and is sent again"
            ),
            Err(error) => tracing::error!(
                %station,
                error = %causes(&error),
                "an attempt to deliver was not recorded"
            ),
        }
    }

    async fn send(&self, peer: &Peer, entry: &LedgerEntry) -> Result<Delivery, NotSent> {
        let characters = entry.chain.chars().count();
        if characters > TAKEN_BY_ALL
            && let Some(terms) = peer.context::<Terms>()
        {
            // A02.FR.16: the station would have to reject a longer chain, and may not even be able
            // to read it.
            let longest = *terms.longest_chain.get_or_try_init(|| longest_chain(peer)).await?;
            if let Some(longest) = longest.filter(|longest| characters > *longest) {
                return Ok(Delivery::Rejected {
                    reason: Some(format!(
                        "not sent: the chain has {characters} characters, the station accepts {longest}"
                    )),
                });
            }
        }
        send_certificate(peer, entry).await
    }
}

/// In characters. A station that accepts less does not follow the advice of the specification
/// (`MaxCertificateChainSize`). A station is asked for its limit only when a longer chain is due to
/// it.
const TAKEN_BY_ALL: usize = 5600;
