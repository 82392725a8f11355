//! A running `ocpp-csms` with its own token, and a Python station that communicates with it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value;
use signer_pkcs11::{
    CaSettings, CertificateAuthority, KeyAlgorithm, KeyName, Pin, ServerName, Subject, Token, TokenOptions,
    init_token,
};

use crate::test_server::PostgresServer;

pub(crate) const ORGANIZATION: &str = "Test CSO";
pub(crate) const PASSWORD: &str = "correct-horse-battery";

/// A CSMS with two configured stations, CS001 with serial number SN-0001 and CS002 with SN-0002.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    process: Option<Child>,
    url: String,
    postgres: Option<PostgresServer>,
}

/// Where the ledger is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LedgerKind {
    Sqlite,
    Postgres,
}

impl Stage {
    /// Makes token, authority and configuration, and starts the program.
    pub(crate) fn start() -> Self {
        let mut stage = Self::prepare();
        stage.launch();
        stage
    }

    /// Makes everything, but does not start the program.
    pub(crate) fn prepare() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let label = folder.path().file_name().expect("a name").to_string_lossy().into_owned();
        let pin = Pin::new("test-pin");
        init_token(&module(), &label, &Pin::new("so-test-pin"), &pin).expect("a token");
        fs::write(folder.path().join("pin"), "test-pin").expect("writes");
        make_authority(folder.path(), &label);
        let hash = csms::io::hash_password(PASSWORD).expect("hashes");
        let configuration = format!(
            r#"
            directory = "data"
            organization = "{ORGANIZATION}"
            [listen]
            address = "127.0.0.1:0"
            path = "/ocpp"
            [token]
            uri = "{}"
            [ca]
            key = "pkcs11:object=cso-root"
            certificate_file = "root.pem"
            [tls]
            key = "pkcs11:object=tls"
            certificate_file = "tls.pem"
            [[station]]
            identity = "CS001"
            serial_number = "SN-0001"
            password_hash = "{hash}"
            [[station]]
            identity = "CS002"
            serial_number = "SN-0002"
            password_hash = "{hash}"
            "#,
            token_uri(&label)
        );
        fs::write(folder.path().join("csms.toml"), configuration).expect("writes");
        let mut stage = Self { folder, process: None, url: String::new(), postgres: None };
        if crate::LEDGER == LedgerKind::Postgres {
            stage.use_postgres();
            stage.operator(&["migrate"]).expect("migrates");
        }
        stage
    }

    /// Starts a PostgreSQL, and names it in the configuration.
    pub(crate) fn use_postgres(&mut self) {
        let server = PostgresServer::start_with(&[]);
        let url = server.database("ledger");
        self.configure("[listen]", &format!("[ledger]\nurl = \"{url}\"\n[listen]"));
        self.postgres = Some(server);
    }

    /// The server of its ledger.
    pub(crate) fn postgres(&mut self) -> &mut PostgresServer {
        self.postgres.as_mut().expect("a stage with PostgreSQL")
    }

    /// Starts the program with what was prepared.
    pub(crate) fn launched(mut self) -> Self {
        self.launch();
        self
    }

    pub(crate) fn launch(&mut self) {
        self.launch_with_log("info");
    }

    /// Starts the program with a log of this level.
    pub(crate) fn launch_with_log(&mut self, level: &str) {
        let command = self.command(&["run"]);
        self.launch_command(command, level);
    }

    /// Starts the program with a log of all levels in this format.
    pub(crate) fn launch_with_log_format(&mut self, format: &str) {
        let command = self.command(&["run", "--log", format]);
        self.launch_command(command, "trace");
    }

    /// Starts the program, which cannot write a file beyond this many bytes.
    pub(crate) fn launch_with_file_limit(&mut self, bytes: u64) {
        let run = self.command(&["run"]);
        let mut command = Command::new("prlimit");
        command.current_dir(self.folder.path());
        command.arg(format!("--fsize={bytes}")).arg(run.get_program()).args(run.get_args());
        self.launch_command(command, "info");
    }

    /// Starts the program, which has to end with an error, and returns its output.
    pub(crate) fn launch_in_vain(&mut self) -> String {
        let log = fs::File::create(self.path("log")).expect("a log");
        self.process =
            Some(self.command(&["run"]).stdout(Stdio::null()).stderr(log).spawn().expect("starts"));
        assert!(!self.ended(), "{}", self.log());
        self.log()
    }

    /// Prevents the running program from writing to a file beyond this position; `None` lets it
    /// write again.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let pid = Pid::from_child(self.process.as_ref().expect("runs"));
        // The hard limit stays, so that the soft one can be lifted again.
        prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).expect("a limit");
    }

    /// Lets no change of a station's state succeed in the ledger, until [`Stage::accept_changes`].
    pub(crate) fn refuse_changes(&self) {
        match &self.postgres {
            None => self.limit_files(Some(1)),
            Some(server) => {
                assert!(server.statement("ledger", "ALTER TABLE station_state RENAME TO moved_away"));
            }
        }
    }

    pub(crate) fn accept_changes(&self) {
        match &self.postgres {
            None => self.limit_files(None),
            Some(server) => {
                assert!(server.statement("ledger", "ALTER TABLE moved_away RENAME TO station_state"));
            }
        }
    }

    /// Starts the program with its own clock, which is this many seconds ahead of the right time
    /// until [`Stage::set_clock`].
    pub(crate) fn launch_with_clock(&mut self, ahead: i64) {
        self.set_clock(ahead);
        let mut command = self.command(&["run"]);
        command
            .env("LD_PRELOAD", faketime())
            .env("FAKETIME_TIMESTAMP_FILE", self.path("clock"))
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        self.launch_command(command, "info");
    }

    /// Moves the clock of the running program to this many seconds ahead of the right time;
    /// negative: behind it.
    pub(crate) fn set_clock(&self, ahead: i64) {
        fs::write(self.path("clock.new"), format!("{ahead:+}")).expect("writes");
        fs::rename(self.path("clock.new"), self.path("clock")).expect("renames");
    }

    fn launch_command(&mut self, mut command: Command, level: &str) {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).expect("a log");
        command.env("RUST_LOG", level).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("starts");
        self.process = Some(child);
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(url) = self.status().and_then(|status| Some(status["url"].as_str()?.to_owned())) {
                self.url = url;
                return;
            }
            let ended = self.process.as_mut().expect("started").try_wait().expect("a state");
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "ocpp-csms does not listen:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The URI of its token, with the source of the PIN.
    pub(crate) fn token(&self) -> String {
        token_uri(&self.folder.path().file_name().expect("a name").to_string_lossy())
    }

    /// Opens its token while the program uses it.
    pub(crate) fn open_token(&self) -> Token {
        open_token(&self.folder.path().file_name().expect("a name").to_string_lossy())
    }

    /// Changes the configuration file of the running program.
    pub(crate) fn configure(&self, from: &str, to: &str) {
        let path = self.path("csms.toml");
        let text = fs::read_to_string(&path).expect("reads");
        assert!(text.contains(from), "{from}: {text}");
        fs::write(path, text.replacen(from, to, 1)).expect("writes");
    }

    /// Runs an operator's command while the stations of this runtime continue. Returns its output,
    /// or its error.
    pub(crate) async fn operate(&self, arguments: &[&str]) -> Result<Value, String> {
        let mut command = self.command(arguments);
        let output =
            tokio::task::spawn_blocking(move || command.output()).await.expect("runs").expect("starts");
        match output.status.success() {
            true => Ok(serde_json::from_slice(&output.stdout).expect("JSON")),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// Makes a key with this name in the token and a root for it in `NAME.pem`, before the program
    /// is started.
    pub(crate) fn make_root(&self, name: &str) {
        let token = open_token(&self.folder.path().file_name().expect("a name").to_string_lossy());
        let key = token.generate_key(&KeyName::random(name).expect("a name"), KeyAlgorithm::EcdsaP256);
        let root = CertificateAuthority::create_root(
            &key.expect("a key"),
            &Subject::new(name, ORGANIZATION),
            YEAR,
            SystemTime::now(),
        );
        fs::write(self.path(&format!("{name}.pem")), root.expect("a root")).expect("writes");
    }

    /// Runs an operator's command. Returns its output, or its error.
    pub(crate) fn operator(&self, arguments: &[&str]) -> Result<Value, String> {
        let output = self.command(arguments).output().expect("starts");
        match output.status.success() {
            true => Ok(serde_json::from_slice(&output.stdout).expect("JSON")),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// Sends a station a request by hand and returns its response.
    #[track_caller]
    pub(crate) fn by_hand(&self, station: &str, action: &str, payload: &Value) -> Value {
        let response = self.operator(&["call", station, action, &payload.to_string()]);
        response.unwrap_or_else(|error| panic!("{action}: {error}\n{}", self.log()))
    }

    /// Waits until the certificates in the ledger have these states, newest first.
    #[track_caller]
    pub(crate) fn await_states(&self, expected: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let found = self.certificates();
            if found.iter().map(|row| row["state"].as_str().unwrap_or_default()).eq(expected.iter().copied())
            {
                return;
            }
            assert!(Instant::now() < deadline, "{found:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until a condition holds.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !holds() {
            assert!(Instant::now() < deadline, "not seen: {what}: {:?}\n{}", self.certificates(), self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends the program a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(self.process.as_ref().expect("runs"));
        kill_process(pid, signal).expect("it runs");
    }

    /// Waits for the program's own end. Returns whether it ended without an error.
    pub(crate) fn ended(&mut self) -> bool {
        let mut process = self.process.take().expect("runs");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = process.try_wait().expect("a state") {
                return status.success();
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills the program, without a chance to clean up.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("runs");
        process.kill().expect("killed");
        process.wait().expect("ended");
    }

    /// The process number of the running program.
    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("runs").id()
    }

    /// The URL that stations connect to, without their identity.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_with("csms.toml", arguments)
    }

    pub(crate) fn command_with(&self, configuration: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocpp-csms"));
        command.current_dir(self.folder.path()).args(["--json", "--config", configuration]).args(arguments);
        command
    }

    /// A command that prints text for people.
    pub(crate) fn plain_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocpp-csms"));
        command.current_dir(self.folder.path()).args(["--config", "csms.toml"]).args(arguments);
        command
    }

    pub(crate) fn status(&self) -> Option<Value> {
        let output = self.command(&["status"]).output().expect("starts");
        serde_json::from_slice(&output.stdout).ok()
    }

    /// The issued certificates in the ledger, newest first.
    pub(crate) fn certificates(&self) -> Vec<Value> {
        let output = self.command(&["certificates"]).output().expect("starts");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Runs the Python station to its end and returns what it reported, step by step.
    pub(crate) fn station(&self, identity: &str, arguments: &[&str]) -> Report {
        let python = std::env::var("OCPP_PYTHON")
            .expect("OCPP_PYTHON is not set; run the tests with `cargo xtask test`");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python_station.py");
        let output = Command::new(python)
            .arg(script)
            .current_dir(self.folder.path())
            .args(["--url", &self.url, "--root", "root.pem", "--identity", identity])
            .args(arguments)
            .output()
            .expect("Python starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let steps = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        Report { steps, context: format!("{}\n{}", String::from_utf8_lossy(&output.stderr), self.log()) }
    }

    /// The Python station on security profile 2.
    pub(crate) fn station_with_password(&self, identity: &str, arguments: &[&str]) -> Report {
        self.station(identity, &[&["--password", PASSWORD], arguments].concat())
    }

    /// Makes a request with OpenSSL and returns the file's name. The key is beside it as `key.pem`.
    pub(crate) fn request(&self, subject: &str, options: &[&str]) -> &'static str {
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        let options = if options.is_empty() { &curve[..] } else { options };
        let arguments = [
            &["req", "-new", "-nodes", "-keyout", "key.pem", "-out", "request.pem", "-subj", subject],
            options,
        ];
        self.openssl(&arguments.concat());
        "request.pem"
    }

    /// The hash data of a certificate, computed with OpenSSL: the names of OCSP with the digest
    /// `sha256`, `sha384` or `sha512`.
    pub(crate) fn hash_data(&self, issuer: &str, certificate: &str, digest: &str) -> Value {
        let algorithm = format!("-{digest}");
        let arguments =
            ["ocsp", "-issuer", issuer, &algorithm, "-cert", certificate, "-req_text", "-no_nonce"];
        // OpenSSL breaks long values into lines.
        let text = self.openssl(&arguments).replace("\\\n", "");
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(name));
            line.unwrap_or_else(|| panic!("{name}: {text}")).replace(' ', "")
        };
        serde_json::json!({
            "hashAlgorithm": digest.to_uppercase(), "issuerNameHash": value("Issuer Name Hash:"),
            "issuerKeyHash": value("Issuer Key Hash:"), "serialNumber": value("Serial Number:"),
        })
    }

    /// Runs OpenSSL in the stage's folder and returns its output.
    pub(crate) fn openssl(&self, arguments: &[&str]) -> String {
        let (text, success) = self.run_openssl(arguments);
        assert!(success, "openssl {}: {text}", arguments.join(" "));
        text
    }

    /// Makes a self-signed certificate, `NAME.pem`, and its key, `NAME.key`.
    pub(crate) fn self_signed(&self, name: &str, subject: &str, more: &[&str]) {
        let (key, certificate) = (format!("{name}.key"), format!("{name}.pem"));
        let request = ["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        let result = ["-keyout", &key, "-out", &certificate, "-subj", subject, "-days", "1"];
        self.openssl(&[&request[..], &result, more].concat());
    }

    /// Runs OpenSSL, which has to fail, and returns its output.
    pub(crate) fn openssl_in_vain(&self, arguments: &[&str]) -> String {
        let (text, success) = self.run_openssl(arguments);
        assert!(!success, "openssl {}: {text}", arguments.join(" "));
        text
    }

    /// Runs OpenSSL and returns its output, whether it fails or not.
    pub(crate) fn tell_openssl(&self, arguments: &[&str]) -> String {
        self.run_openssl(arguments).0
    }

    /// Starts `openssl s_client`. The test has its input and output.
    pub(crate) fn openssl_client(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new("openssl");
        command.current_dir(self.folder.path()).arg("s_client").args(arguments);
        let client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        client.expect("openssl is missing; install it: sudo apt-get install openssl")
    }

    fn run_openssl(&self, arguments: &[&str]) -> (String, bool) {
        let mut command = Command::new("openssl");
        let output = command.current_dir(self.folder.path()).args(arguments).stdin(Stdio::null()).output();
        let output = output.expect("openssl is missing; install it: sudo apt-get install openssl");
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (text, output.status.success())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

/// The report of the Python station.
pub(crate) struct Report {
    steps: Vec<Value>,
    context: String,
}

impl Report {
    /// The result of a step. If the step was not reached, the test fails with all that is known.
    #[track_caller]
    pub(crate) fn step(&self, name: &str) -> &Value {
        let found = self.steps.iter().find(|step| step["step"] == name).map(|step| &step["result"]);
        found.unwrap_or_else(|| panic!("step `{name}` was not reached: {:#?}\n{}", self.steps, self.context))
    }

    /// The results of a step that is taken several times.
    pub(crate) fn all(&self, name: &str) -> Vec<&Value> {
        self.steps.iter().filter(|step| step["step"] == name).map(|step| &step["result"]).collect()
    }
}

fn module() -> PathBuf {
    let module = std::env::var_os("PKCS11_MODULE");
    module.expect("PKCS11_MODULE is not set; run the tests with `cargo xtask test`").into()
}

/// The library that gives a program its own clock.
fn faketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("lists").flatten().map(|entry| entry.path());
    let mut found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    found
        .find(|file| file.exists())
        .expect("libfaketime is missing; install it: sudo apt-get install libfaketime")
}

fn token_uri(label: &str) -> String {
    format!("pkcs11:token={label}?pin-source=file:pin")
}

fn open_token(label: &str) -> Token {
    let uri = format!("pkcs11:token={label}").parse().expect("a URI");
    let options = TokenOptions::new().module(module()).pin(Pin::new("test-pin"));
    Token::open(&uri, &options).expect("opens")
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The authority is older than the times to which tests move clocks.
const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

fn make_authority(folder: &Path, label: &str) {
    let token = open_token(label);
    let key = |label: &str| {
        token.generate_key(&KeyName::random(label).expect("a name"), KeyAlgorithm::EcdsaP256).expect("a key")
    };
    let root_key = key("cso-root");
    let subject = Subject::new("Test CSO Root", ORGANIZATION);
    let root = CertificateAuthority::create_root(&root_key, &subject, YEAR, SystemTime::now() - MONTH)
        .expect("a root");
    let authority =
        CertificateAuthority::new(root_key, &root, CaSettings::new(ORGANIZATION)).expect("an authority");
    let name = ServerName::new("localhost").expect("a name");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let tls_key = key("tls");
    let server = authority.issue_server_certificate(&name, tls_key.public_key());
    let server = runtime.block_on(server).expect("a server certificate");
    fs::write(folder.join("root.pem"), root).expect("writes");
    fs::write(folder.join("tls.pem"), server.chain_pem).expect("writes");
}
