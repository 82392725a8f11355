//! A station with a token of its own, and a Python CSMS with an authority made by OpenSSL.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use signer_pkcs11::{Pin, Token, TokenOptions, init_token};
use station::inventory::Inventory;

pub(crate) use crate::python::PythonCsms;

pub(crate) const PASSWORD: &str = "correct-horse-battery";

/// Everything that a station and its CSMS need, in one folder.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    token: String,
    /// The environment of the station.
    environment: Vec<(&'static str, PathBuf)>,
}

impl Stage {
    /// Creates the station's token, the operator's root, and a server certificate for localhost.
    pub(crate) fn prepare() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let token = folder.path().file_name().expect("a name").to_string_lossy().into_owned();
        let module = std::env::var_os("PKCS11_MODULE");
        let module: PathBuf =
            module.expect("PKCS11_MODULE is not set; run the tests with `cargo xtask test`").into();
        init_token(&module, &token, &Pin::new("so-test-pin"), &Pin::new("test-pin")).expect("a token");
        let stage = Self { folder, token, environment: Vec::new() };
        for (name, text) in [("pin", "test-pin"), ("password", PASSWORD)] {
            fs::write(stage.path(name), text).expect("writes");
        }
        stage.root("ca", "/O=Test CSO/CN=Test Root");
        stage.root("manufacturer", "/O=Test Manufacturer/CN=Manufacturer Root");
        stage.server_certificate("server", "ca", "/O=Test CSO/CN=localhost", Validity::Now);
        stage
    }

    /// Like [`Stage::prepare`], with a token that has one fault. The module is SoftHSM behind the
    /// test module of `signer-pkcs11` for faults.
    pub(crate) fn prepare_with_fault(fault: &str) -> Self {
        let mut stage = Self::prepare();
        let shim = stage.path("shim.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../signer-pkcs11/tests/it/shim.c");
        let compiled =
            Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&shim).args([source, "-ldl"]).output();
        let compiled = compiled.expect("a C compiler is missing; install one: sudo apt-get install gcc");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        let real = std::env::var_os("PKCS11_MODULE").expect("checked by the stage");
        stage.environment =
            vec![("PKCS11_MODULE", shim), ("SHIM_MODULE", real.into()), ("SHIM_FAULT", fault.into())];
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The URI of the station's token with its PIN.
    pub(crate) fn token_uri(&self) -> String {
        format!("pkcs11:token={}?pin-source=file:pin", self.token)
    }

    /// How many private keys are in the station's token.
    pub(crate) fn keys(&self) -> usize {
        let module = std::env::var_os("PKCS11_MODULE").expect("checked by the stage");
        let uri = format!("pkcs11:token={}", self.token).parse().expect("a URI");
        let options = TokenOptions::new().module(module).pin(Pin::new("test-pin"));
        Token::open(&uri, &options).expect("opens").keys().expect("lists").len()
    }

    /// A self-signed root, `NAME.pem` with `NAME.key`.
    pub(crate) fn root(&self, name: &str, subject: &str) {
        let (key, pem) = (format!("{name}.key"), format!("{name}.pem"));
        self.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            &key,
            "-out",
            &pem,
            "-subj",
            subject,
            "-days",
            "2",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
        ]);
    }

    /// A certificate signed by the root `issuer`, `NAME.pem` with `NAME.key`.
    pub(crate) fn server_certificate(&self, name: &str, issuer: &str, subject: &str, validity: Validity) {
        let [key, csr, pem, ca, ca_key] = [
            format!("{name}.key"),
            format!("{name}.csr"),
            format!("{name}.pem"),
            format!("{issuer}.pem"),
            format!("{issuer}.key"),
        ];
        self.openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            &key,
            "-out",
            &csr,
            "-subj",
            subject,
        ]);
        fs::write(
            self.path("extensions"),
            "basicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature\n",
        )
        .expect("writes");
        let dates = match validity {
            Validity::Now => &["-days", "1"][..],
            Validity::Future => &["-startdate", "20990101000000Z", "-enddate", "20990201000000Z"],
            Validity::Past => &["-startdate", "20200101000000Z", "-enddate", "20210101000000Z"],
        };
        fs::write(self.path("ca.cnf"), CA_CONFIGURATION).expect("writes");
        fs::write(self.path("index.txt"), "").expect("writes");
        let sign = ["ca", "-batch", "-notext", "-config", "ca.cnf", "-extfile", "extensions"];
        let files = ["-cert", &ca, "-keyfile", &ca_key, "-in", &csr, "-out", &pem];
        self.openssl(&[&sign[..], &files, dates].concat());
    }

    /// Writes the station's configuration for a CSMS at `port`, and installs the operator's root as
    /// the factory does.
    pub(crate) fn configure(&self, port: u64) {
        self.configure_with("station.toml", port, &self.token_uri());
        let provision = self.command(&["provision", "--csms-root", "ca.pem"]).output().expect("starts");
        assert!(provision.status.success(), "{}", String::from_utf8_lossy(&provision.stderr));
    }

    /// Like [`Stage::configure`], with more sections.
    pub(crate) fn configure_more(&self, port: u64, sections: &str) {
        self.configure(port);
        let file = self.path("station.toml");
        let text = fs::read_to_string(&file).expect("reads");
        fs::write(file, text + sections).expect("writes");
    }

    pub(crate) fn configure_with(&self, file: &str, port: u64, token: &str) {
        let configuration = format!(
            r#"
            directory = "data"
            [station]
            identity = "CS001"
            serial_number = "SN-0001"
            model = "Test"
            vendor = "Test"
            organization = "Test CSO"
            [csms]
            url = "wss://localhost:{port}/ocpp"
            password_file = "password"
            retry_wait_minimum_s = 0
            retry_random_range_s = 1
            [token]
            uri = "{token}"
            "#
        );
        fs::write(self.path(file), configuration).expect("writes");
    }

    /// The program, which prints JSON.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.plain_command(arguments);
        command.arg("--json");
        command
    }

    /// The program, which prints text for people.
    pub(crate) fn plain_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocpp-station"));
        command.current_dir(self.folder.path()).args(["--config", "station.toml"]).args(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts the agent.
    pub(crate) fn station(&self) -> Process {
        self.station_that_logs("info")
    }

    /// Starts the agent with this value of `RUST_LOG`.
    pub(crate) fn station_that_logs(&self, what: &str) -> Process {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).expect("a log");
        let mut command = self.command(&["run"]);
        command.env("RUST_LOG", what).stdout(Stdio::null()).stderr(log);
        Process(command.spawn().expect("starts"))
    }

    /// Starts the agent with a clock of its own, which is `ahead` seconds ahead of the right one
    /// until [`Stage::set_clock`].
    pub(crate) fn station_with_clock(&self, ahead: i64) -> Process {
        self.set_clock(ahead);
        let folders = fs::read_dir("/usr/lib").expect("lists").flatten().map(|entry| entry.path());
        let mut found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
        let library = found.find(|file| file.exists());
        let library = library.expect("libfaketime is missing; install it: sudo apt-get install libfaketime");
        let log = fs::File::options().create(true).append(true).open(self.path("log")).expect("a log");
        let mut command = self.command(&["run"]);
        command
            .env("LD_PRELOAD", library)
            .env("FAKETIME_TIMESTAMP_FILE", self.path("clock"))
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("RUST_LOG", "info");
        Process(command.stdout(Stdio::null()).stderr(log).spawn().expect("starts"))
    }

    /// Moves the clock of the running agent to `ahead` seconds ahead of the right one.
    pub(crate) fn set_clock(&self, ahead: i64) {
        fs::write(self.path("clock.new"), format!("{ahead:+}")).expect("writes");
        fs::rename(self.path("clock.new"), self.path("clock")).expect("renames");
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Waits until the agent's log contains `text`.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) {
        self.wait_until(text, || self.log().contains(text));
    }

    /// Waits until `holds` returns true.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < deadline, "not seen: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The station's inventory, from the agent if it is running.
    pub(crate) fn inventory(&self) -> Inventory {
        let output = self.command(&["inventory"]).output().expect("starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Starts the Python CSMS, which carries out the commands of [`PythonCsms::call`].
    pub(crate) fn operator(&self) -> PythonCsms {
        self.operator_presenting("server")
    }

    /// Like [`Stage::operator`], with another server certificate.
    pub(crate) fn operator_presenting(&self, server: &str) -> PythonCsms {
        PythonCsms::start(self, server, &[])
    }

    /// A TLS server of OpenSSL with the server's certificate, and its port.
    pub(crate) fn openssl_server(&self, options: &[&str]) -> (Process, u64) {
        let mut child = Command::new("openssl")
            .current_dir(self.folder.path())
            .args(["s_server", "-accept", "0", "-cert", "server.pem", "-key", "server.key"])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is missing; install it: sudo apt-get install openssl");
        let output = BufReader::new(child.stdout.take().expect("is piped"));
        let process = Process(child);
        // `ACCEPT [::]:40657`
        let mut lines = output.lines().map_while(Result::ok);
        let line = lines.find(|line| line.starts_with("ACCEPT ")).expect("it listens");
        let port = line.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        (process, port)
    }

    /// Runs OpenSSL in the stage's folder and returns what it printed.
    pub(crate) fn openssl(&self, arguments: &[&str]) -> String {
        let output = Command::new("openssl").current_dir(self.folder.path()).args(arguments).output();
        let output = output.expect("openssl is missing; install it: sudo apt-get install openssl");
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "openssl {}: {text}", arguments.join(" "));
        text
    }
}

/// The validity of a certificate.
#[derive(Clone, Copy)]
pub(crate) enum Validity {
    Now,
    Past,
    Future,
}

/// A process that ends with the test.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn new(child: Child) -> Self {
        Self(child)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("ended");
    }

    /// SIGTERM; the process must end in an orderly way.
    pub(crate) fn terminate(mut self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).expect("it runs");
        let status = self.0.wait().expect("ended");
        assert!(status.success(), "it ended with {status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if the process has already ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The longest wait for a step; only a failing test waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The configuration of `openssl ca`.
const CA_CONFIGURATION: &str = "[ca]\ndefault_ca = only\n[only]\ndatabase = index.txt\nnew_certs_dir = .\nrand_serial = yes\n\
    default_md = sha256\npolicy = any\n[any]\norganizationName = supplied\ncommonName = supplied\n";
