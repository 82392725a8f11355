//! Prints the CPU time per certificate, one line per figure: the name, the record, the value, the
//! unit. Contestants run in turn, in several rounds; the median round is printed.

#[path = "../../signer/src/cpu.rs"]
mod cpu;
#[path = "../../signer/src/pki.rs"]
#[allow(dead_code, reason = "the other program writes requests into files")]
mod pki;
#[path = "../../signer/src/token.rs"]
mod token;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail};
use csms::{Ledger, LedgerLocation};
use ocpp_types::{BoundedString, v201::SignCertificateRequest};
use signer_pkcs11::{
    Applicant, CaSettings, CertificateAuthority, Key, Profile, Profiles, RequestLimits, Subject,
};
use tokio::task::JoinSet;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [folder, postgres, rounds] = words[..] else { bail!("FOLDER POSTGRES-URL ROUNDS") };
    let rounds: usize = rounds.parse().context("rounds are a number")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(measure(folder.as_ref(), postgres, rounds))
}

async fn measure(folder: &Path, postgres: &str, rounds: usize) -> Result<()> {
    let token = token::new(4)?;
    let key = token::key(&token, "ca")?;
    let subject = Subject::new("Example Root", "Example");
    let root = CertificateAuthority::create_root(&key, &subject, 10 * YEAR, SystemTime::now())?;
    let postgres = LedgerLocation::Postgres(postgres.parse()?);
    Ledger::migrate(&postgres).await?;
    let sqlite = Ledger::open_file(&folder.join("ledger.sqlite")).await?;
    let postgres = Ledger::open(&postgres).await?;
    let authorities = [
        ("none", authority(&key, &root)?),
        ("sqlite", authority(&key, &root)?.with_record(Arc::new(sqlite))),
        ("postgres", authority(&key, &root)?.with_record(Arc::new(postgres))),
    ]
    .map(|(record, authority)| (record, Arc::new(authority)));
    let requests = prepared()?;
    let mut costs = [const { Vec::new() }; 6];
    for _ in 0..rounds {
        for (place, stations) in STATIONS.into_iter().enumerate() {
            for (number, (_, authority)) in authorities.iter().enumerate() {
                costs[place * 3 + number].push(cost(authority, &requests, stations).await?);
            }
        }
    }
    for (place, stations) in STATIONS.into_iter().enumerate() {
        for (number, (record, _)) in authorities.iter().enumerate() {
            let mut rounds = std::mem::take(&mut costs[place * 3 + number]);
            rounds.sort_by(f64::total_cmp);
            println!("issue-{stations} {record} {} us", rounds[rounds.len() / 2]);
        }
    }
    Ok(())
}

fn authority(key: &Key, root: &str) -> Result<CertificateAuthority> {
    let mut profiles = Profiles::default();
    let mut station = Profile::station();
    station.crl_urls = vec!["http://pki.example.com/cso.crl".to_owned()];
    profiles.station = station;
    let limits = RequestLimits::default().certificates(1_000_000, YEAR).same_answer(Duration::ZERO);
    let settings = CaSettings::new("Example").profiles(profiles).limits(limits);
    Ok(CertificateAuthority::new(key.clone(), root, settings)?)
}

type Prepared = Arc<Vec<(Applicant, SignCertificateRequest)>>;

fn prepared() -> Result<Prepared> {
    let requests = pki::requests()?;
    let prepared = requests.iter().map(|request| {
        let (identity, serial_number) = (request.serial_number.parse()?, request.serial_number.clone());
        let csr = BoundedString::try_from(request.pem.as_str()).ok();
        let csr = csr.context("a request of a station fits")?;
        Ok((Applicant { identity, serial_number }, SignCertificateRequest::new(csr)))
    });
    Ok(Arc::new(prepared.collect::<Result<_>>()?))
}

/// CPU per certificate of this process, with requests of this many stations at the same time.
async fn cost(authority: &Arc<CertificateAuthority>, requests: &Prepared, stations: usize) -> Result<f64> {
    let before = cpu::used_us("self", cpu::OWN)?;
    let mut asking = JoinSet::new();
    for first in 0..stations {
        let (authority, requests) = (Arc::clone(authority), Arc::clone(requests));
        asking.spawn(async move {
            for _ in 0..REPEATS {
                for (station, request) in requests.iter().skip(first).step_by(stations) {
                    let (_, pending) = authority.answer(request, station);
                    let issued = authority.issue(pending?).await?;
                    authority.delivered(&issued);
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = asking.join_next().await {
        ended??;
    }
    #[allow(clippy::cast_precision_loss)]
    Ok((cpu::used_us("self", cpu::OWN)? - before) / (REPEATS * pki::REQUESTS) as f64)
}

/// The number of stations that ask at the same time on a busy CSMS.
const STATIONS: [usize; 2] = [8, 64];

/// The number of times that all requests are certified in a round.
const REPEATS: usize = 10;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
