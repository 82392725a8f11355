//! Makes the renewals that are due, and puts their results into use.

use program::causes;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    fleet::pause::{LONGEST_PAUSE, SHORTEST_PAUSE, pause},
    service::io::{reload::Reloader, server_error::ServerError},
    signing::{io::upkeep::Renewal, serving::When},
};

/// Makes the renewals that are due and puts their results into use, until the future is dropped.
///
/// # Cancel safety
/// What was signed is on record; a file is as it was or new.
pub(crate) async fn keep_renewed(reloader: &Reloader) {
    let upkeep = &reloader.upkeep;
    let mut back_off = SHORTEST_PAUSE;
    let mut asking = JoinSet::new();
    // The ledger is read at the start, after each move of the clock, and while there are such
    // certificates.
    let mut look_ahead = true;
    loop {
        if look_ahead || !upkeep.ahead.is_empty() {
            match upkeep.ahead.look(upkeep.ledger(), upkeep.clock().times().present).await {
                Ok(()) => look_ahead = false,
                Err(error) => {
                    tracing::error!(error = %causes(&error), "cannot read the certificates that are not valid yet")
                }
            }
        }
        upkeep.ahead.ask(&reloader.registry.fleet, &mut asking);
        let due = upkeep.due(&reloader.registry.config.get()).await;
        tokio::select! {
            () = sleep(pause(&due, &mut back_off)) => {}
            // The clock decides all of this, so it is decided again, and failed renewals are
            // attempted again.
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
            // Nothing was signed. Another attempt costs nothing, and the disk may have room at any
            // time.
            back_off = back_off.min(LONGEST_PAUSE);
        }
        if upkeep.is_outdated(&config).await {
            upkeep.note_unserved();
        }
        // The flag is cleared before the files are read. What is written meanwhile is read in the
        // next round.
        if upkeep.take_unserved()
            && let Err(error) = reloader.serve().await
        {
            tracing::error!(error = %causes(&error), "renewed certificates or lists are not in use");
        }
    }
}
