//! Creates what the demo needs before the first frame: two tokens, an authority, two configuration
//! files.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::{Context as _, Result};

use super::process::Side;

/// The two sides, each with its token and its configuration.
pub(crate) struct Stage {
    pub(crate) csms: Side,
    pub(crate) station: Side,
}

/// Creates `folder` again with all of its content.
pub(crate) fn prepare(folder: &Path, module: &Path) -> Result<Stage> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder)?;
    let csms = Side::create(folder, "csms", module)?;
    let station = Side::create(folder, "station", module)?;
    for side in [&csms, &station] {
        write_secret(&side.folder.join("pin"), &random_text(8)?)?;
        write_secret(&side.folder.join("so-pin"), &random_text(16)?)?;
        side.run("hsm", &["init", "--label", &side.token, "--pin-file", "pin", "--so-pin-file", "so-pin"])?;
    }

    // The operator's authority, and the CSMS's own certificate, which this authority signs.
    csms.run("hsm", &root("cso-root", "Demo CSO Root", "cso-root.pem"))?;
    csms.run(
        "hsm",
        &[
            "server-cert",
            "--token",
            CSMS_TOKEN,
            "--label",
            "csms-tls",
            "--ca-label",
            "cso-root",
            "--ca-cert",
            "cso-root.pem",
            "--name",
            HOST,
            "--organization",
            ORGANIZATION,
            "--out",
            "csms-tls.pem",
        ],
    )?;
    // The root that the demo installs on the station later.
    csms.run("hsm", &root("next-root", "Demo CSO Root 2", "next-root.pem"))?;
    csms.run("hsm", &root("manufacturer-root", "Demo Manufacturer Root", "manufacturer-root.pem"))?;

    let password = random_text(32)?;
    write_secret(&station.folder.join("password"), &password)?;
    write_secret(&csms.folder.join("password-of-CS001"), &password)?;
    let hash = csms.run("ocpp-csms", &["hash-password", "--file", "password-of-CS001"])?;
    fs::remove_file(csms.folder.join("password-of-CS001"))?;
    fs::write(csms.folder.join("csms.toml"), csms_configuration(hash.trim()))?;
    Ok(Stage { csms, station })
}

/// Writes the station's configuration when the CSMS's port is known, and gives the station its
/// first root.
pub(crate) fn provision(stage: &Stage, url: &str) -> Result<()> {
    fs::write(stage.station.folder.join("station.toml"), station_configuration(url))?;
    let root = stage.csms.folder.join("cso-root.pem");
    stage.station.run(
        "ocpp-station",
        &["--config", "station.toml", "provision", "--csms-root", &root.to_string_lossy()],
    )?;
    Ok(())
}

fn root<'a>(label: &'a str, name: &'a str, out: &'a str) -> [&'a str; 11] {
    [
        "root",
        "--token",
        CSMS_TOKEN,
        "--label",
        label,
        "--common-name",
        name,
        "--organization",
        ORGANIZATION,
        "--out",
        out,
    ]
}

fn csms_configuration(password_hash: &str) -> String {
    format!(
        r#"# A complete example of ocpp-csms's configuration.
directory = "data"
organization = "{ORGANIZATION}"

[listen]
address = "127.0.0.1:0"
path = "/ocpp"

[token]
uri = "{CSMS_TOKEN}"

[ca]
key = "pkcs11:object=cso-root"
certificate_file = "cso-root.pem"

[tls]
key = "pkcs11:object=csms-tls"
certificate_file = "csms-tls.pem"

[[station]]
identity = "CS001"
serial_number = "{SERIAL_NUMBER}"
password_hash = "{password_hash}"
"#
    )
}

fn station_configuration(url: &str) -> String {
    format!(
        r#"# A complete example of ocpp-station's configuration.
directory = "data"

[station]
identity = "CS001"
serial_number = "{SERIAL_NUMBER}"
model = "Demo"
vendor = "Example"
organization = "{ORGANIZATION}"

[csms]
url = "{url}"
password_file = "password"
retry_wait_minimum_s = 1
retry_random_range_s = 0

[token]
uri = "{STATION_TOKEN}"
"#
    )
}

fn write_secret(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(())
}

/// Random letters and digits from the system's generator.
fn random_text(characters: usize) -> Result<String> {
    use std::io::Read as _;
    let mut bytes = vec![0; characters];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.into_iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const HOST: &str = "localhost";
const ORGANIZATION: &str = "Demo CSO";
pub(crate) const SERIAL_NUMBER: &str = "SN-2026-0001";
const CSMS_TOKEN: &str = "pkcs11:token=csms?pin-source=file:pin";
const STATION_TOKEN: &str = "pkcs11:token=station?pin-source=file:pin";
