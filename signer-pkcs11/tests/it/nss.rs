//! NSS: softokn, the token of Firefox. p11-kit passes the parameters that it requires to
//! C_Initialize.

use std::{path::PathBuf, process::Command};

use signer_pkcs11::Uri;

use crate::{
    child::{run_by, system_module},
    softhsm::PIN,
};

const PACKAGES: &str = "libnss3 libnss3-tools libp11-kit0 util-linux";

/// Runs a program for which p11-kit shows one module: softokn with its own database.
const MODULES: &str = "set -e
    mkdir $FOLDER/db $FOLDER/modules
    printf %s $PIN > $FOLDER/pin
    certutil -N -d sql:$FOLDER/db -f $FOLDER/pin
    printf \"module: $SOFTOKN\\nx-init-reserved: configdir='sql:$FOLDER/db' certPrefix='' keyPrefix='' secmod='secmod.db' flags=\\n\" \
        > $FOLDER/modules/nss.module
    mount --bind $FOLDER/modules /usr/share/p11-kit/modules
    \"$@\"";

/// Runs a test that uses softokn through [`module`].
pub(crate) fn run(test: &str) {
    module();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", MODULES, "sh"]);
    command.arg(std::env::current_exe().unwrap());
    let softokn = system_module("libsoftokn3.so", PACKAGES).display().to_string();
    let folder = folder.path().display().to_string();
    run_by(command, test, &[("FOLDER", folder), ("SOFTOKN", softokn), ("PIN", PIN.to_owned())]);
}

pub(crate) fn module() -> PathBuf {
    system_module("p11-kit-proxy.so", PACKAGES)
}

pub(crate) fn token() -> Uri {
    Uri::new().with_token("NSS Certificate DB")
}
