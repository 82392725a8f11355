//! The running agent's replies to local commands.

use std::{sync::Arc, time::SystemTime};

use ocpp_types::Version;
use program::in_one_line;
use serde::Serialize;
use serde_json::value::to_raw_value;
use station_store::{CertificateSigningUse, PendingId};
use tokio::sync::broadcast::Receiver;

use crate::{
    control::{
        ControlReply, ControlRequest, RenewalEnd, RenewalReport, RenewalStatus, RenewalStep, RenewalUse,
        Status, Until, subject_name,
    },
    following::{Followed, Happened},
    inventory::{Inventory, timestamp},
    io::{
        connection::{link::LinkState, state::ConnectionState},
        control::socket::{Answer, Caller},
        device_model::file::ModelFile,
        disk::{faults::DiskFaults, store::StationStore},
        renewal::requests::Renewals,
        security_events::recorder::SecurityEvents,
    },
    renewal::{Stage, Target},
};

/// Answers local commands.
#[derive(Debug)]
pub(crate) struct LocalCommands {
    pub(crate) connection: Arc<ConnectionState>,
    pub(crate) link: Arc<LinkState>,
    pub(crate) store: Arc<StationStore>,
    pub(crate) model: Arc<ModelFile>,
    pub(crate) events: Arc<SecurityEvents>,
    pub(crate) faults: Arc<DiskFaults>,
    pub(crate) renewals: Arc<Renewals>,
    /// How many roots may be installed.
    pub(crate) max_roots: usize,
}

impl Answer for LocalCommands {
    async fn answer(&self, request: ControlRequest, caller: &mut Caller) -> ControlReply {
        match request {
            ControlRequest::Status => done(&self.status()),
            ControlRequest::Inventory => {
                let mut inventory = Inventory::of(&self.store, self.max_roots, SystemTime::now());
                for row in inventory.take_rows() {
                    if !caller.row(row).await {
                        break;
                    }
                }
                done(&inventory)
            }
            ControlRequest::Renew { use_, secc_id, until } => {
                match self.carry_out_renewal(use_, secc_id.as_deref(), until, caller).await {
                    Ok(report) => done(&report),
                    Err(reason) => ControlReply::Failed(reason),
                }
            }
        }
    }
}

impl LocalCommands {
    fn status(&self) -> Status {
        Status {
            pid: std::process::id(),
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            identity: self.model.current().identity().clone(),
            link: self.link.report(self.connection.registration(), SystemTime::now()),
            renewals: self.renewals.state().overview().into_iter().map(renewal_status).collect(),
            events_waiting: self.events.log().waiting(),
            disk_faults: self.faults.report(),
        }
    }

    /// Asks for certificates, and follows the requests if the command wants that.
    async fn carry_out_renewal(
        &self,
        use_: RenewalUse,
        secc_id: Option<&str>,
        until: Until,
        caller: &mut Caller,
    ) -> Result<RenewalReport, String> {
        let use_ = signing_use(use_);
        if let Some(version) = self.link.version()
            && !has_request(version, use_)
        {
            return Err(format!("{version}, which the CSMS speaks, has no request for such a certificate"));
        }
        let evse = secc_id.map(|id| self.evse_of(id)).transpose()?.flatten();
        let mut happened = self.renewals.state().subscribe();
        let promises = self.renewals.promise(use_, evse).await.map_err(in_one_line)?;
        let mut followed: Vec<_> = promises
            .iter()
            .map(|promise| Followed::new(promise.subject().clone(), promise.pending()))
            .collect();
        // The requests begin when the promises are dropped.
        drop(promises);
        if until == Until::Ended {
            follow(&mut followed, &mut happened, caller).await?;
        }
        let end = |followed: &Followed<_>| RenewalEnd {
            subject: subject_name(followed.subject()),
            outcome: followed.outcome(),
        };
        Ok(RenewalReport {
            renewals: followed.iter().map(end).collect(),
            connected: self.link.version().is_some(),
        })
    }

    /// An EVSE of the SECC called `secc_id`. `None` if the station has one controller for all
    /// EVSEs.
    fn evse_of(&self, secc_id: &str) -> Result<Option<i64>, String> {
        let seccs = self.model.current().seccs();
        match seccs.iter().find(|secc| secc.id == secc_id) {
            Some(secc) => Ok(secc.evses.first().copied().map(i64::from)),
            None => {
                let known: Vec<_> = seccs.into_iter().map(|secc| secc.id).collect();
                Err(match known.as_slice() {
                    [] => "this station does not serve ISO 15118; see [iso15118] in the configuration"
                        .to_owned(),
                    known => format!("no SECC is called {secc_id}; there are: {}", known.join(", ")),
                })
            }
        }
    }
}

/// Follows requests until they end or the caller disconnects. In the second case the requests
/// continue.
async fn follow(
    followed: &mut [Followed<PendingId>],
    happened: &mut Receiver<Happened<PendingId>>,
    caller: &mut Caller,
) -> Result<(), String> {
    while followed.iter().any(|followed| followed.outcome().is_none()) {
        let happened = tokio::select! {
            happened = happened.recv() => happened,
            () = caller.closed() => return Ok(()),
        };
        // More steps have happened than are kept, or the station stops.
        let happened = happened.map_err(|_| {
            "the request continues but is not followed any more; see `ocpp-station inventory`".to_owned()
        })?;
        for followed in &mut *followed {
            if let Some(step) = followed.handle(&happened) {
                let subject = subject_name(followed.subject());
                if !caller.step(RenewalStep { subject, step }).await {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn renewal_status((subject, stage, due): (Target, Option<Stage>, Option<SystemTime>)) -> RenewalStatus {
    let (state, next) = match stage {
        None => ("is renewed by itself".to_owned(), due),
        Some(Stage::Announced | Stage::Making { .. }) => ("its key is being made".to_owned(), None),
        Some(Stage::Again { due, .. }) => {
            ("its key could not be made and is tried again".to_owned(), Some(due))
        }
        Some(Stage::Ready { due, .. }) => ("its request waits to be sent".to_owned(), Some(due)),
        Some(Stage::InFlight { .. }) => ("its request is on its way".to_owned(), None),
        Some(Stage::Waiting { due, .. }) => {
            ("its request is accepted; sent again if no certificate comes".to_owned(), Some(due))
        }
        Some(Stage::Stopped) => {
            ("its request is not sent any more; a trigger or `renew` begins a new one".to_owned(), None)
        }
    };
    RenewalStatus { subject: subject_name(&subject), state, next: next.map(timestamp) }
}

fn signing_use(use_: RenewalUse) -> CertificateSigningUse {
    match use_ {
        RenewalUse::Station => CertificateSigningUse::ChargingStation,
        RenewalUse::V2g => CertificateSigningUse::V2g,
        RenewalUse::V2g20 => CertificateSigningUse::V2g20,
        RenewalUse::Combined => CertificateSigningUse::Combined,
    }
}

/// Whether SignCertificate of this version supports the use.
fn has_request(version: Version, use_: CertificateSigningUse) -> bool {
    match version {
        Version::V16 => use_ == CertificateSigningUse::ChargingStation,
        Version::V201 => use_ != CertificateSigningUse::V2g20,
        Version::V21 => true,
        _ => false,
    }
}

fn done(value: &impl Serialize) -> ControlReply {
    match to_raw_value(value) {
        Ok(value) => ControlReply::Done(value),
        Err(error) => ControlReply::Failed(format!("the reply cannot be written: {error}")),
    }
}
