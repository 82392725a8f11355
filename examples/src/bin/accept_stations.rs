//! A CSMS that admits stations by one password and answers BootNotification and Heartbeat.
//!
//! It prints the URL to which stations add their identity, and serves until SIGTERM or Ctrl-C.

use std::{error::Error, time::SystemTime};

use ocpp_transport::{Admission, Admitted, Csms, CsmsConfig, Peer, Refusal, Router, UpgradeRequest};
use ocpp_types::{Version, v201};

/// Admits stations with one password. A real CSMS compares with a hash of the station's own
/// password.
struct OnePassword;

impl Admission for OnePassword {
    async fn admit(&self, upgrade: &UpgradeRequest) -> Result<Admitted, Refusal> {
        match &upgrade.basic {
            Some(basic) if basic.password.matches(&"0123456789abcdef".into()) => Ok(Admitted::new()),
            _ => Err(Refusal::BadCredentials),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let router = Router::new(Version::V201)
        .handle(async |_: Peer, _: v201::BootNotificationRequest| {
            let (now, interval) = (SystemTime::now().into(), 300.into());
            Ok(v201::BootNotificationResponse::new(now, interval, v201::RegistrationStatusEnumType::Accepted))
        })
        .handle(async |_: Peer, _: v201::HeartbeatRequest| {
            Ok(v201::HeartbeatResponse::new(SystemTime::now().into()))
        });
    let csms = Csms::bind(CsmsConfig::unsecured("127.0.0.1:0".parse()?), router, OnePassword).await?;
    println!("ws://{}", csms.local_addr());
    csms.serve(program::shutdown_signal()).await;
    Ok(())
}
