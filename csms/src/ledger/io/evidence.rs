//! The evidence about a ledger that is kept apart from it: marks in the file and in the token, and
//! lists of revoked certificates on disk.

use std::{
    collections::BTreeSet,
    fs, io, iter,
    path::{Path, PathBuf},
};

use certificates::Certificate;
use program::causes;
use signer_pkcs11::Token;

use crate::{
    config::Config,
    ledger::{
        ListOnDisk, Mark, Place,
        io::marks::{self, TokenObject},
    },
    service::io::server_error::ServerError,
    signing::io::pem_files::read_certificates,
};

/// The evidence about a ledger that is kept apart from it.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) marks: Vec<(Mark, Place)>,
    pub(crate) lists: Vec<ListOnDisk>,
    pub(crate) object: Option<TokenObject>,
}

impl Evidence {
    /// Reads the evidence. Blocks.
    pub(crate) fn read(config: &Config, token: Option<&Token>) -> Result<Self, ServerError> {
        let issuers = issuers(config)?;
        let object = token
            .zip(issuers.first())
            .map(|(token, issuer)| TokenObject { token: token.clone(), label: label(issuer) });
        let mut marks: Vec<_> = marks::read_file(&config.mark_file())?.into_iter().collect();
        marks.extend(object.as_ref().and_then(marks::read_token));
        Ok(Self { marks, lists: lists(config, &issuers), object })
    }

    /// The highest number of each issuer's list.
    pub(crate) fn list_numbers(&self) -> impl Iterator<Item = (&str, u64)> {
        let in_marks = self.marks.iter().flat_map(|(mark, _)| &mark.lists);
        let in_marks = in_marks.map(|(issuer, number)| (issuer.as_str(), *number));
        in_marks.chain(self.lists.iter().map(|list| (list.issuer_key_id.as_str(), list.number)))
    }
}

/// The certificates of the service's own issuers; empty if another authority signs.
fn issuers(config: &Config) -> Result<Vec<Certificate>, ServerError> {
    let others = config.ca.issuers().iter().map(|issuer| &issuer.certificate_file);
    let mut issuers = Vec::new();
    for file in iter::once(&config.ca.certificate_file).chain(others) {
        // The issuer's own certificate is the first one.
        if let Some(issuer) = read_certificates(file)?.first() {
            issuers.push(Certificate::from_der(issuer.to_vec()).map_err(ServerError::certificate(file, 1))?);
        }
    }
    Ok(issuers)
}

/// The label is derived from the key, because a key outlives its certificates.
fn label(issuer: &Certificate) -> String {
    format!("ledger mark {:.16}", issuer.key_hash())
}

/// The lists that this service has signed. Another file in such a place is no evidence; a new list
/// will replace it.
fn lists(config: &Config, issuers: &[Certificate]) -> Vec<ListOnDisk> {
    let folder = config.directory.join("crl");
    let mut files = config.ca.crl_files().flatten().map(PathBuf::from).collect::<BTreeSet<_>>();
    match fs::read_dir(&folder) {
        Ok(entries) => {
            let paths = entries.flatten().map(|entry| entry.path());
            files.extend(paths.filter(|path| path.extension().is_some_and(|end| end == "crl")));
        }
        Err(error) => skip(&folder, &error),
    }
    let read = files.into_iter().filter_map(|path| {
        let bytes = fs::read(&path).inspect_err(|error| skip(&path, error)).ok()?;
        match ListOnDisk::read(path.clone(), &bytes, issuers) {
            Ok(list) => Some(list),
            Err(reason) => {
                tracing::warn!(
                    file = %path.display(),
                    reason = %causes(&reason),
                    "a list of revoked certificates on disk is not compared with the ledger"
                );
                None
            }
        }
    });
    read.collect()
}

/// Logs that lists cannot be read, unless they do not exist because none was signed yet.
fn skip(path: &Path, error: &io::Error) {
    if error.kind() != io::ErrorKind::NotFound {
        tracing::error!(
            file = %path.display(),
            error = %causes(error),
            "lists of revoked certificates on disk cannot be read and are not compared with the ledger; let the service's \
             user read them, then restart"
        );
    }
}
