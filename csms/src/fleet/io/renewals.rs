//! Renews what is due, and has it served.

use program::causes;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    fleet::pause::{LONGEST_PAUSE, SHORTEST_PAUSE, pause},
    ledger::io::sqlite::database::SqliteLedger,
    service::io::{reload::Reloader, server_error::ServerError},
    signing::{io::upkeep::Renewal, serving::When},
};

/// Renews what is due, and has it served, until it is dropped.
///
/// # Cancel safety
/// What was signed is on record; a file is as it was or new.
pub(crate) async fn keep_renewed(reloader: &Reloader<SqliteLedger>) {
    let upkeep = &reloader.upkeep;
    let mut back_off = SHORTEST_PAUSE;
    let mut asking = JoinSet::new();
    // Once at the start, then as long as there are some, and whenever the clock was moved.
    let mut look_ahead = true;
    loop {
        if look_ahead || !upkeep.ahead.is_empty() {
            match upkeep.ahead.look(upkeep.ledger(), upkeep.clock().times().present).await {
                Ok(()) => look_ahead = false,
                Err(error) => {
                    tracing::error!(error = %causes(&error), "cannot find out which certificates are not valid yet")
                }
            }
        }
        upkeep.ahead.ask(&reloader.registry.fleet, &mut asking);
        let due = upkeep.due(&reloader.registry.config.get()).await;
        tokio::select! {
            () = sleep(pause(&due, &mut back_off)) => {}
            // Everything that was judged by the clock is judged again, and what failed by it is
            // tried again.
            () = upkeep.clock().changed() => (back_off, look_ahead) = (SHORTEST_PAUSE, true),
        }
        let config = reloader.registry.config.get();
        let own = upkeep.issue_own(&config, When::Due).await.err();
        let lists = upkeep.sign_lists(&config, When::Due).await.err();
        let mut no_room = false;
        for (renewal, error) in [(Renewal::OwnCertificate, own), (Renewal::RevocationLists, lists)] {
            no_room |= matches!(error, Some(ServerError::File { .. }));
            upkeep.note_renewal(renewal, error.as_ref());
        }
        if no_room {
            // Nothing was signed: trying again costs nothing, and there may be room any time.
            back_off = back_off.min(LONGEST_PAUSE);
        }
        if upkeep.is_outdated(&config).await {
            upkeep.note_unserved();
        }
        // Cleared before the files are read: what is written meanwhile is read by the next
        // round.
        if upkeep.take_unserved()
            && let Err(error) = reloader.serve().await
        {
            tracing::error!(error = %causes(&error), "what was renewed is not served");
        }
    }
}
