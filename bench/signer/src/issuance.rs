//! From the request to the certificate: parse, prove, decide, lint, sign, verify; without and with
//! a record.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use ocpp_types::{BoundedString, v201::SignCertificateRequest};
use signer_pkcs11::{
    CaSettings, CertificateAuthority, FileRecord, Key, RequestLimits, Profile, Profiles, Applicant, Subject,
    Token,
};
use tokio::task::JoinSet;

use crate::{
    cpu, median,
    pki::{REQUESTS, Request, requests},
    tell, token,
};

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The number of times that all requests are certified in a round.
const REPEATS: usize = 20;

/// The number of stations that ask at the same time on a busy CSMS.
const STATIONS: usize = 8;

pub(crate) fn measure(rounds: usize) -> Result<()> {
    let token = token::new(4)?;
    let key = token::key(&token, "ca")?;
    let root = root(&key)?;
    let requests = requests()?;
    let folder = tempfile::tempdir()?;
    let record = FileRecord::open(folder.path().join("record"))?;
    let plain = Arc::new(CertificateAuthority::new(key.clone(), &root, settings()?)?);
    let recorded = CertificateAuthority::new(key, &root, settings()?)?.with_record(Arc::new(record));
    let recorded = Arc::new(recorded);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut without, mut at_once, mut with) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        without.push(runtime.block_on(cost(&plain, &requests, 1))?);
        at_once.push(runtime.block_on(cost(&plain, &requests, STATIONS))?);
        with.push(runtime.block_on(cost(&recorded, &requests, 1))?);
    }
    tell("issue", "ours", median(without), "us");
    tell("issue-8-stations", "ours", median(at_once), "us");
    tell("issue-recorded", "ours", median(with), "us");
    Ok(())
}

/// Eight extensions, the same number as in other programs.
fn settings() -> Result<CaSettings> {
    let mut profiles = Profiles::default();
    let mut station = Profile::station();
    station.crl_urls = vec!["http://pki.example.com/cso.crl".to_owned()];
    station.ocsp_urls = vec!["http://ocsp.example.com/".to_owned()];
    profiles.station = station;
    let limits = RequestLimits::default().certificates(1_000_000, YEAR).same_answer(Duration::ZERO);
    Ok(CaSettings::new("Example").profiles(profiles).limits(limits))
}

fn root(key: &Key) -> Result<String> {
    let subject = Subject::new("Example Root", "Example");
    Ok(CertificateAuthority::create_root(key, &subject, 10 * YEAR, SystemTime::now())?)
}

/// CPU per certificate, with requests of this many stations at the same time.
async fn cost(authority: &Arc<CertificateAuthority>, requests: &[Request], stations: usize) -> Result<f64> {
    let prepared: Vec<_> = requests
        .iter()
        .map(|request| {
            let station = Applicant {
                identity: request.serial_number.parse()?,
                serial_number: request.serial_number.clone(),
            };
            let csr =
                BoundedString::try_from(request.pem.as_str()).ok().context("a request of a station fits")?;
            Ok((station, SignCertificateRequest::new(csr)))
        })
        .collect::<Result<_>>()?;
    let prepared = Arc::new(prepared);
    let before = cpu::used_us("self", cpu::OWN)?;
    let mut asking = JoinSet::new();
    for first in 0..stations {
        let (authority, prepared) = (Arc::clone(authority), Arc::clone(&prepared));
        asking.spawn(async move {
            for _ in 0..REPEATS {
                for (station, request) in prepared.iter().skip(first).step_by(stations) {
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
    Ok((cpu::used_us("self", cpu::OWN)? - before) / (REPEATS * REQUESTS) as f64)
}

/// Writes a root in the token, for other programs that use the same key: its certificate, and the
/// names of the token and the key.
pub(crate) fn write_authority(folder: &Path) -> Result<()> {
    let token: Token = token::new(1)?;
    let key = token::key(&token, "ca")?;
    fs::write(folder.join("root.pem"), root(&key)?)?;
    fs::write(folder.join("key.uri"), key.uri().to_string())?;
    fs::write(folder.join("pin"), token::PIN)?;
    Ok(())
}
