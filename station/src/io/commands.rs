//! What the running agent answers to local commands.

use std::{sync::Arc, time::SystemTime};

use serde::Serialize;
use serde_json::value::to_raw_value;

use crate::{
    control::{ControlReply, ControlRequest, Status},
    inventory::Inventory,
    io::{control::Answer, handlers::Shared},
};

impl Answer for Arc<Shared> {
    async fn answer(&self, request: ControlRequest) -> ControlReply {
        match request {
            ControlRequest::Status => done(&self.status()),
            ControlRequest::Inventory => {
                let max_roots = self.certificates.max_entries.into();
                done(&Inventory::of(&self.store, max_roots, SystemTime::now()))
            }
        }
    }
}

impl Shared {
    fn status(&self) -> Status {
        let now = SystemTime::now();
        Status {
            pid: std::process::id(),
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            identity: self.model.current().identity().as_str().to_owned(),
            link: self.link.report(self.registration(), now),
            events_waiting: self.events.waiting(),
        }
    }
}

pub(super) fn done(value: &impl Serialize) -> ControlReply {
    match to_raw_value(value) {
        Ok(value) => ControlReply::Done(value),
        Err(error) => ControlReply::Failed(format!("the reply cannot be written: {error}")),
    }
}
