//! `events`: the security log.

use anyhow::{Context as _, Result};
use program::{Output, escaped};
use station::{
    Config,
    io::{EventState, security_log},
};

pub(crate) fn run(config: &Config, json: bool) -> Result<()> {
    let folder = &config.directory;
    let events =
        security_log(folder).with_context(|| format!("cannot read the log in {}", folder.display()))?;
    let mut out = Output::new();
    if events.is_empty() && !json {
        out.line("Nothing has happened yet; the agent writes the log: ocpp-station run")?;
    }
    for event in events {
        if json {
            out.json(serde_json::to_string(&event)?)?;
        } else {
            let state = match event.state {
                EventState::Logged => "logged",
                EventState::Waiting => "waiting",
                EventState::Reported => "reported",
                _ => "not reported",
            };
            let event_type = escaped(&event.event);
            let why = event.not_reported.map(|why| format!(" (not reported: {why})")).unwrap_or_default();
            out.line(format_args!("{}  {state:<12}  {event_type:<35}  {}{why}", event.time, event.info))?;
        }
    }
    Ok(out.finish()?)
}
