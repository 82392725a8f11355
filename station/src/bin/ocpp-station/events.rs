//! `events`: the security log.

use anyhow::{Context as _, Result};
use station::{Config, io::security_log};

use crate::text::printable;

pub(crate) fn run(config: &Config, json: bool) -> Result<()> {
    let folder = &config.directory;
    let events =
        security_log(folder).with_context(|| format!("cannot read the log in {}", folder.display()))?;
    if events.is_empty() && !json {
        println!("Nothing has happened yet; the agent writes the log: ocpp-station run");
    }
    for event in events {
        if json {
            println!("{}", serde_json::to_string(&event)?);
        } else {
            let severity = if event.critical { "reported" } else { "logged" };
            let line = format!("{}  {severity:<8}  {:<35}  {}", event.time, event.event, event.info);
            println!("{}", printable(&line));
        }
    }
    Ok(())
}
