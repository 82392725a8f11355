//! The station's agent in another process. The first argument is its configuration file. Requests a
//! certificate, prints it after a connection has proved it, and ends.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use station::{Agent, AgentHandle, Config, inventory::Inventory};
use station_store::CertificateSigningUse;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: embed_the_station STATION_TOML")?;
    let config = Config::parse(&std::fs::read_to_string(file)?)?;
    // Opening waits for the token and the disk, so it is done outside the runtime.
    let agent = Agent::open(config, None)?;
    let handle = agent.handle();
    let runtime = tokio::runtime::Runtime::new()?;
    let _ended = runtime.block_on(agent.run(async {
        match certificate(&handle).await {
            Ok(chain) => print!("{chain}"),
            Err(error) => eprintln!("no certificate: {error}"),
        }
    }));
    Ok(())
}

/// Requests a certificate for the connection and waits until the station uses it.
async fn certificate(agent: &AgentHandle) -> Result<String, Box<dyn Error>> {
    // When this returns, the request is durable: it survives a crash and an unreachable CSMS.
    agent.renew(CertificateSigningUse::ChargingStation, None).await?;
    loop {
        let inventory = Inventory::of(agent.store(), 32, SystemTime::now());
        if let Some(own) = inventory.own.iter().find(|own| own.in_use) {
            return Ok(own.chain_pem.clone());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
