//! Signatures: the module alone in a loop, and the pool.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    mechanism::Mechanism,
    object::{Attribute, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    types::AuthPin,
};
use sha2::{Digest as _, Sha256};
use signer_pkcs11::Key;

use crate::{cpu, median, tell, token};

const CALLERS: usize = 8;
const SIGNATURES: usize = 20_000;

/// CPU per signature: with the module alone and with the pool, from one caller and from eight.
pub(crate) fn measure(rounds: usize) -> Result<()> {
    let token = token::new(4)?;
    let key = token::key(&token, "sign")?;
    let context = stranger()?;
    for (what, callers) in [("sign-1-caller", 1), ("sign-8-callers", CALLERS)] {
        let sessions: Vec<_> = (0..callers).map(|_| session(&context, &key)).collect::<Result<_>>()?;
        let (mut bare, mut pooled) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            bare.push(cost(|| each_bare(&sessions, SIGNATURES / callers))?);
            pooled.push(cost(|| each_pooled(&key, callers, SIGNATURES / callers))?);
        }
        tell(what, "bare", median(bare), "us");
        tell(what, "ours", median(pooled), "us");
    }
    Ok(())
}

/// Signatures per second, for a token that is the bottleneck.
pub(crate) fn measure_rate(rounds: usize) -> Result<()> {
    let token = token::new(1)?;
    let key = token::key(&token, "sign")?;
    let context = stranger()?;
    let sessions = [session(&context, &key)?];
    let (mut bare, mut pooled) = (Vec::new(), Vec::new());
    const SLOW: usize = 100;
    for _ in 0..rounds {
        bare.push(rate(SLOW, || each_bare(&sessions, SLOW))?);
        // There are several callers, so that the token never waits for one.
        pooled.push(rate(SLOW, || each_pooled(&key, 4, SLOW / 4))?);
    }
    tell("slow-token", "bare", median(bare), "per-s");
    tell("slow-token", "ours", median(pooled), "per-s");
    Ok(())
}

fn each_bare(sessions: &[(Session, ObjectHandle)], count: usize) -> Result<()> {
    if let [(session, key)] = sessions {
        return bare(session, *key, count);
    }
    // A session is not Sync, so each thread has its own. Handles are numbers.
    let keys: Vec<_> = sessions.iter().map(|(_, key)| *key).collect();
    thread::scope(|scope| {
        let threads: Vec<_> = sessions
            .iter()
            .zip(keys)
            .map(|((session, _), key)| {
                let context = stranger();
                let slot = session.get_session_info().map(|info| info.slot_id());
                scope.spawn(move || bare(&context?.open_ro_session(slot?)?, key, count))
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
    })
}

fn bare(session: &Session, key: ObjectHandle, count: usize) -> Result<()> {
    for number in 0..count {
        let digest = Sha256::digest(number.to_be_bytes());
        session.sign(&Mechanism::Ecdsa, key, &digest)?;
    }
    Ok(())
}

fn each_pooled(key: &Key, callers: usize, count: usize) -> Result<()> {
    thread::scope(|scope| {
        let sign =
            move || (0..count).try_for_each(|number| key.sign_blocking(&number.to_be_bytes()).map(drop));
        let threads: Vec<_> = (0..callers).map(|_| scope.spawn(sign)).collect();
        threads.into_iter().try_for_each(|thread| Ok(thread.join().expect("no panic")?))
    })
}

fn cost(run: impl FnOnce() -> Result<()>) -> Result<f64> {
    let before = cpu::used_us("self", cpu::OWN)?;
    run()?;
    #[allow(clippy::cast_precision_loss)]
    Ok((cpu::used_us("self", cpu::OWN)? - before) / SIGNATURES as f64)
}

fn rate(count: usize, run: impl FnOnce() -> Result<()>) -> Result<f64> {
    let begin = Instant::now();
    run()?;
    #[allow(clippy::cast_precision_loss)]
    Ok(count as f64 / begin.elapsed().max(Duration::from_nanos(1)).as_secs_f64())
}

/// The module without our crate.
fn stranger() -> Result<Pkcs11> {
    let context = Pkcs11::new(token::module()?)?;
    let _ = context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    Ok(context)
}

fn session(context: &Pkcs11, key: &Key) -> Result<(Session, ObjectHandle)> {
    let label = key.token().label();
    let fits = |slot: &cryptoki::slot::Slot| {
        context.get_token_info(*slot).is_ok_and(|info| info.label().trim_end_matches(['\0', ' ']) == label)
    };
    let slot = context.get_slots_with_token()?.into_iter().find(fits).context("the token is there")?;
    let session = context.open_ro_session(slot)?;
    let _ = session.login(UserType::User, Some(&AuthPin::from(token::PIN.to_owned())));
    let wanted = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(key.name().id().into())];
    let handle = *session.find_objects(&wanted)?.first().context("the key is there")?;
    Ok((session, handle))
}
