//! The environment of the soak: an authority made by OpenSSL, and stations with a folder and a
//! token each.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::token_server::TokenServer;
use crate::{
    demo::process::{Running, Side},
    workspace::output,
};

/// The folder of the soak, which contains the authority and the certificate of the CSMS.
pub(super) struct Stage {
    pub(super) folder: PathBuf,
    module: PathBuf,
}

impl Stage {
    /// Creates `folder` again, with a root `ca` and a certificate `server` for localhost.
    pub(super) fn prepare(folder: &Path, module: &Path) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let stage = Self { folder: folder.to_path_buf(), module: module.to_path_buf() };
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let root =
            ["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/O=Soak CSO/CN=Soak CSO Root", "-days", "30"];
        let usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"];
        stage.openssl(&[&["req", "-x509"], &key[..], &root, &usage].concat())?;
        let request = ["-keyout", "server.key", "-out", "server.csr", "-subj", "/O=Soak CSO/CN=localhost"];
        stage.openssl(&[&["req", "-new"], &key[..], &request].concat())?;
        let extensions = "basicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature\n";
        fs::write(stage.folder.join("extensions"), extensions)?;
        let issuer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-days", "30", "-extfile", "extensions"];
        stage
            .openssl(&[&["x509", "-req", "-in", "server.csr", "-out", "server.pem"], &issuer[..]].concat())?;
        Ok(stage)
    }

    fn openssl(&self, arguments: &[&str]) -> Result<String> {
        output(Command::new("openssl").current_dir(&self.folder).args(arguments))
    }

    /// A new station, provisioned with the root, for the CSMS at `port`.
    pub(super) fn new_station(&self, number: u32, port: u64, place: TokenPlace) -> Result<Station> {
        let mut side = Side::create(&self.folder, &format!("station-{number}"), &self.module)?;
        for (name, text) in [("pin", PIN), ("so-pin", "so-soak-pin"), ("password", PASSWORD)] {
            let path = side.folder.join(name);
            fs::write(&path, text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        }
        side.run("hsm", &["init", "--label", &side.token, "--pin-file", "pin", "--so-pin-file", "so-pin"])?;
        let url = format!("wss://localhost:{port}/ocpp");
        // The configuration of the station, and one that reads a copy of its store.
        for (name, directory) in [("station.toml", "data"), ("copy.toml", "copy")] {
            fs::write(side.folder.join(name), configuration(directory, &url, &side.token))?;
        }
        let server = match place {
            TokenPlace::InStation => None,
            TokenPlace::OwnProcess => {
                let server = TokenServer::start(&self.module, &side.softhsm_configuration, &side.token)?;
                side.variables.extend(server.variables()?);
                Some(server)
            }
        };
        let station = Station { side, server };
        station.program(&["provision", "--csms-root", "../ca.pem"])?;
        Ok(station)
    }
}

/// Where SoftHSM runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenPlace {
    /// In the process of the station, with which it is killed.
    InStation,
    /// In a process that keeps running, like the firmware of an HSM.
    OwnProcess,
}

/// One station: its folder, its token, its program.
pub(super) struct Station {
    side: Side,
    server: Option<TokenServer>,
}

impl Station {
    /// Starts the program. Its log is appended to the former one.
    pub(super) fn start(&self) -> Result<Running> {
        self.side.start("ocpp-station", &["--config", "station.toml", "run"])
    }

    /// After a kill: waits until a token that keeps running has completed its work.
    pub(super) fn wait_for_token(&self) -> Result<()> {
        self.server.as_ref().map_or(Ok(()), TokenServer::wait_until_idle)
    }

    /// The log so far.
    pub(super) fn log(&self) -> Result<String> {
        let path = self.side.folder.join("ocpp-station.log");
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// How many security events the station's own command shows. The command must read the log
    /// while the agent is running.
    pub(super) fn security_events(&self) -> Result<usize> {
        let text = self.program(&["--json", "events"])?;
        for line in text.lines() {
            let _: Value =
                serde_json::from_str(line).with_context(|| format!("a security event is no JSON: {line}"))?;
        }
        Ok(text.lines().count())
    }

    /// The keys that the store names, read from a copy: the agent holds a lock on the store itself.
    pub(super) fn named_keys(&self) -> Result<NamedKeys> {
        let copy = self.side.folder.join("copy");
        fs::create_dir_all(&copy)?;
        let store = self.side.folder.join("data").join(STORE);
        fs::copy(&store, copy.join(STORE)).with_context(|| format!("cannot copy {}", store.display()))?;
        let text = self.side.run("ocpp-station", &["--config", "copy.toml", "--json", "inventory"])?;
        NamedKeys::read(&text)
    }

    /// Whether the kill has destroyed the whole token. At each login SoftHSM truncates the file of
    /// the token's own record and writes it again. A kill between the two leaves an empty file, and
    /// no program finds the token again.
    pub(super) fn has_lost_token(&self) -> Result<bool> {
        for folder in fs::read_dir(self.side.folder.join("tokens"))? {
            if fs::metadata(folder?.path().join("token.object"))?.len() == 0 {
                ensure!(self.server.is_none(), "the token is lost, although its process was not killed");
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The objects in the token, as OpenSC's tool shows them.
    pub(super) fn token_keys(&self) -> Result<TokenKeys> {
        let mut tool = Command::new("pkcs11-tool");
        tool.arg("--module").arg(&self.side.module);
        tool.args(["--token-label", &self.side.token, "--login", "--pin", PIN, "--list-objects"]);
        self.side.environment(&mut tool);
        TokenKeys::read(&output(&mut tool)?)
    }

    fn program(&self, arguments: &[&str]) -> Result<String> {
        self.side.run("ocpp-station", &[&["--config", "station.toml"], arguments].concat())
    }
}

/// The keys that a store names, by their labels.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct NamedKeys {
    /// The keys of certificates and of pending requests.
    pub(super) needed: BTreeSet<String>,
    /// Keys that are to be destroyed: the token holds such a key, has destroyed it, or has not
    /// generated it yet.
    pub(super) condemned: BTreeSet<String>,
}

impl NamedKeys {
    /// Reads the output of `ocpp-station --json inventory`.
    fn read(text: &str) -> Result<Self> {
        let inventory: Value = serde_json::from_str(text).context("the inventory is no JSON")?;
        let list = |name: &str| {
            let list = inventory[name].as_array();
            list.with_context(|| format!("the inventory has no list {name:?}: {text}"))
        };
        let mut keys = Self::default();
        for name in ["own", "vehicle", "pending"] {
            for entry in list(name)? {
                keys.needed.insert(label(&entry["key_uri"])?);
            }
        }
        for uri in list("condemned_keys")? {
            keys.condemned.insert(label(uri)?);
        }
        Ok(keys)
    }

    /// Whether a token may hold the keys `held`: all needed keys, and others only if they are to be
    /// destroyed.
    pub(super) fn fit(&self, held: &BTreeSet<String>) -> bool {
        self.needed.is_subset(held) && held.difference(&self.needed).all(|key| self.condemned.contains(key))
    }
}

fn label(uri: &Value) -> Result<String> {
    let label = uri.as_str().and_then(|uri| {
        uri.strip_prefix("pkcs11:")?.split([';', '?']).find_map(|part| part.strip_prefix("object="))
    });
    Ok(label.with_context(|| format!("the inventory names a key without a label: {uri}"))?.to_owned())
}

/// The keys in a token, by their labels.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TokenKeys {
    pub(super) private: BTreeSet<String>,
    pub(super) public: BTreeSet<String>,
    /// Objects without a label, an id and a key. SoftHSM creates an object first, and adds the
    /// attributes and the key in a second step. A kill between the two leaves such a shell, which
    /// no program can assign to a station.
    pub(super) shells: usize,
}

impl TokenKeys {
    /// Reads the output of `pkcs11-tool --list-objects`: a line for each object, with its
    /// attributes indented below.
    fn read(text: &str) -> Result<Self> {
        let mut keys = Self::default();
        let mut objects: Vec<Vec<&str>> = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match objects.last_mut() {
                Some(object) if line.starts_with(' ') => object.push(line.trim()),
                _ => objects.push(vec![line]),
            }
        }
        for object in objects {
            let attribute = |name: &str| {
                object.iter().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
            };
            let (label, id) = (attribute("label:"), attribute("ID:"));
            // `local`: generated in the token. SoftHSM sets it together with the key itself.
            let is_key = attribute("Access:").split(", ").any(|word| word == "local");
            let kind = object[0].split_whitespace().next();
            // An object without any attribute, even without a class, is shown as a data object.
            if !is_key && id.is_empty() && (label.is_empty() || (kind == Some("Data") && label == "<empty>"))
            {
                keys.shells += 1;
                continue;
            }
            let labels = match kind {
                Some("Private") => &mut keys.private,
                Some("Public") => &mut keys.public,
                _ => bail!("the token holds something that is no key: {}", object[0]),
            };
            if !labels.insert(label.to_owned()) {
                bail!("the token holds two keys with the label {label:?}");
            }
        }
        Ok(keys)
    }
}

fn configuration(directory: &str, url: &str, token: &str) -> String {
    format!(
        r#"directory = "{directory}"

[station]
identity = "{IDENTITY}"
serial_number = "SN-SOAK-1"
model = "Soak"
vendor = "Example"
organization = "Soak CSO"

[csms]
url = "{url}"
password_file = "password"
retry_wait_minimum_s = 1
retry_random_range_s = 0
retry_repeat_times = 0

[token]
uri = "pkcs11:token={token}?pin-source=file:pin"
"#
    )
}

/// The file name of the store of `ocpp-station`.
const STORE: &str = "certificates.redb";
pub(super) const IDENTITY: &str = "SOAK-1";
pub(super) const PASSWORD: &str = "correct-horse-battery";
const PIN: &str = "soak-pin";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_may_lack_what_is_to_be_destroyed_and_nothing_else() {
        let uri = |label: &str| format!("pkcs11:token=soak;object={label};id=%01");
        let inventory = serde_json::json!({
            "own": [{ "key_uri": uri("own") }], "vehicle": [], "pending": [{ "key_uri": uri("waits") }],
            "condemned_keys": [uri("gone")]
        });
        let keys = NamedKeys::read(&inventory.to_string()).expect("an inventory");
        let held = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect::<BTreeSet<_>>();
        assert!(keys.fit(&held(&["own", "waits"])));
        assert!(keys.fit(&held(&["gone", "own", "waits"])));
        assert!(!keys.fit(&held(&["own"])), "a name without a key");
        assert!(!keys.fit(&held(&["nobody's", "own", "waits"])), "a key without a name");
        assert!(NamedKeys::read("{}").is_err());
        let nameless = inventory.to_string().replace("object=", "type=");
        assert!(NamedKeys::read(&nameless).is_err());
    }

    #[test]
    fn keys_are_told_from_shells() {
        let text = "Public Key Object; EC  EC_POINT 256 bits\n  EC_POINT:   0441\n  label:      one\n  ID:         fe89\n  \
                    Usage:      verify\n  Access:     local\nPrivate Key Object; EC\n  label:      \n  Usage:      decrypt, \
                    sign, unwrap\n  Access:     never extractable\nPrivate Key Object; EC\n  label:      one\n  ID:         \
                    fe89\n  Usage:      sign\n  Access:     sensitive, always sensitive, never extractable, local\n";
        let one = BTreeSet::from(["one".to_owned()]);
        let expected = TokenKeys { private: one.clone(), public: one.clone(), shells: 1 };
        assert_eq!(TokenKeys::read(text).expect("keys"), expected);
        // A key without a label and an id is not a shell.
        let nameless = text.replace("never extractable\nPrivate", "local\nPrivate");
        let nameless = TokenKeys::read(&nameless).expect("keys");
        assert_eq!((nameless.private.len(), nameless.shells), (2, 0));
        assert_eq!(TokenKeys::read("").expect("none"), TokenKeys::default());
        let bare = "Data object 4\n  label:          <empty>\n  application:    <empty>\n";
        assert_eq!(TokenKeys::read(bare).expect("a shell"), TokenKeys { shells: 1, ..TokenKeys::default() });
        assert!(TokenKeys::read(&bare.replace("<empty>", "something")).is_err());
        let certificate = "Certificate Object; type = X.509 cert\n  label:      one\n";
        assert!(TokenKeys::read(certificate).is_err());
    }
}
