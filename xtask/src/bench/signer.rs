//! The cost of a signature, a certificate and a handshake with the key in a token, compared with
//! the bare module, with `openssl ca` on the same token, and with `cfssl serve` and Python's
//! cryptography with keys in software.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::report::{Figure, number, print_figures, print_table};
use crate::{
    python,
    requirements::{self, Missing, Use},
    softhsm,
    workspace::{cargo, output, path, root, run, target},
};

// The measured program reads its own CPU time with it.
#[path = "../../../bench/signer/src/cpu.rs"]
mod cpu;

/// Options of `cargo xtask bench signer`.
#[derive(clap::Args)]
pub(crate) struct SignerArguments {
    /// Print one line of JSON per target instead of tables
    #[arg(long)]
    json: bool,
    /// How many times each contestant runs; they run in turn, and the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// Measures and prints. A missed target is not an error: a column of the table shows it.
pub(super) fn run_command(arguments: &SignerArguments) -> Result<()> {
    ensure!(arguments.rounds > 0, "--rounds has to be at least 1");
    requirements::provide(Use::Bench, Missing::Report)?;
    let module = softhsm::module()?;
    let program = build()?;
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    let folder = tempfile::tempdir_in(parent).context("cannot make a folder for the tokens")?;
    let configuration = softhsm::configure(folder.path(), &folder.path().join("tokens"))?;
    let ours = || {
        let mut command = Command::new(&program);
        command.env("PKCS11_MODULE", &module).env("SOFTHSM2_CONF", &configuration);
        command
    };
    let rounds = arguments.rounds.to_string();
    let mut figures = read(&output(ours().args(["softhsm", &rounds]))?)?;
    figures.extend(read(&slow_token(&program, &rounds)?)?);

    let requests = folder.path().join("requests");
    fs::create_dir_all(&requests)?;
    run(ours().arg("requests").arg(&requests))?;
    run(ours().arg("authority").arg(&requests))?;
    let mut take = |whom: &str, measure: &dyn Fn() -> Result<f64>| -> Result<()> {
        let costs = (0..arguments.rounds).map(|_| measure()).collect::<Result<Vec<_>>>()?;
        figures.insert(("issue".into(), whom.into()), median(costs));
        Ok(())
    };
    take("openssl-ca-token", &|| openssl_ca(&requests, &module, &configuration))?;
    take("cfssl-software", &|| cfssl(&requests))?;
    let python = python::environment()?;
    take("cryptography-software", &|| cryptography(&python, &requests))?;

    let targets = targets(&figures)?;
    if arguments.json {
        targets.iter().for_each(|figure| println!("{}", figure.json()));
    } else {
        print_all(&figures);
        print_figures(&targets);
    }
    Ok(())
}

/// By the measured quantity and the contestant.
type Figures = BTreeMap<(String, String), f64>;

fn build() -> Result<PathBuf> {
    let built = target().join("bench-signer");
    let mut build = cargo();
    build.current_dir(root().join("bench/signer")).env("CARGO_TARGET_DIR", &built);
    run(build.args(["build", "--quiet", "--release", "--locked"]))?;
    Ok(built.join("release/bench-signer"))
}

fn read(text: &str) -> Result<Figures> {
    let lines = text.lines().map(|line| {
        let [what, whom, value, _unit] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            bail!("the program printed {line:?}");
        };
        let value = value.parse().with_context(|| format!("the program printed {line:?}"))?;
        Ok(((what.to_owned(), whom.to_owned()), value))
    });
    lines.collect()
}

fn targets(figures: &Figures) -> Result<Vec<Figure>> {
    let of = |what: &str, whom: &str| {
        let figure = figures.get(&(what.to_owned(), whom.to_owned()));
        figure.copied().with_context(|| format!("no {what} of {whom}"))
    };
    let issue = of("issue", "ours")?;
    let pool = of("sign-8-callers", "ours")?;
    let slow = of("slow-token", "ours")? / of("slow-token", "bare")? * 100.0;
    Ok(vec![
        Figure::absolute("a certificate, CPU", issue, "us", 230.0),
        Figure::absolute(
            "a certificate, CPU, 8 stations at once",
            of("issue-8-stations", "ours")?,
            "us",
            230.0,
        ),
        Figure::relative(
            "a certificate, CPU".into(),
            issue,
            "us",
            "openssl ca, same token",
            issue / of("issue", "openssl-ca-token")?,
            1.0,
        ),
        Figure::relative(
            "a signature from 8 callers, CPU".into(),
            pool,
            "us",
            "bare C_Sign from 8 threads",
            pool / of("sign-8-callers", "bare")?,
            1.15,
        ),
        Figure::at_least("rate on a slow token, of the bare one's", slow, "%", 95.0),
        Figure::absolute("delay of a timer, 1 thread", of("timer-delay", "1-thread")?, "ms", 20.0),
        Figure::absolute("delay of a timer, 2 threads", of("timer-delay", "2-threads")?, "ms", 20.0),
    ])
}

fn print_all(figures: &Figures) {
    let mut rows = vec![["", "contestant", "", "per CPU second"].map(str::to_owned).to_vec()];
    rows.extend(figures.iter().map(|((what, whom), value)| {
        let unit = match what.as_str() {
            "slow-token" => "/s",
            "timer-delay" => "ms",
            _ => "us",
        };
        let rate = if unit == "us" { number(1e6 / value, "/s") } else { String::new() };
        vec![what.clone(), whom.clone(), number(*value, unit), rate]
    }));
    print_table(&rows);
}

/// The rate of a TPM in software, which executes one command at a time.
fn slow_token(program: &Path, rounds: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let module = TPM_MODULES.iter().find(|path| Path::new(path).is_file());
    let module = module.context("libtpm2_pkcs11.so is missing: `sudo apt-get install libtpm2-pkcs11-1`")?;
    for name in ["state", "store"] {
        fs::create_dir(folder.path().join(name))?;
    }
    let setup = ["--tpm2", "--overwrite", "--tpmstate"];
    output(Command::new("swtpm_setup").args(setup).arg(folder.path().join("state")))?;
    let managed = "
        swtpm socket --tpm2 --flags not-need-init,startup-clear --tpmstate dir=$D/state \
            --server type=unixio,path=$D/tpm --ctrl type=unixio,path=$D/tpm.ctrl 2>/dev/null & tpm=$!
        until [ -S $D/tpm.ctrl ]; do kill -0 $tpm || exit 1; done
        tpm2-abrmd --allow-root --session --tcti=swtpm:path=$D/tpm --logger=stdout >/dev/null 2>&1 & manager=$!
        until dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner \
            string:com.intel.tss2.Tabrmd 2>/dev/null | grep -q true; do kill -0 $manager || exit 1; done
        \"$@\"; code=$?; kill $manager $tpm; exit $code";
    let mut command = Command::new("dbus-run-session");
    command.args(["--", "sh", "-c", managed, "sh"]).arg(program).args(["slow", rounds]);
    command.env("PATH", path()).env("D", folder.path()).env("PKCS11_MODULE", module);
    command
        .env("TPM2_PKCS11_TCTI", "tabrmd:bus_type=session")
        .env("TPM2_PKCS11_STORE", folder.path().join("store"));
    output(command.env("TPM2_PKCS11_LOG_LEVEL", "0").env("TSS2_LOG", "all+NONE"))
}

/// CPU per certificate of `openssl ca`, all requests in one process, with the key in the token.
fn openssl_ca(folder: &Path, module: &Path, configuration: &Path) -> Result<f64> {
    let work = tempfile::tempdir()?;
    fs::create_dir(work.path().join("new"))?;
    fs::write(work.path().join("index.txt"), "")?;
    fs::write(work.path().join("serial"), "1000\n")?;
    fs::write(work.path().join("ca.cnf"), CA_CONFIGURATION)?;
    let read = |name: &str| fs::read_to_string(folder.join(name));
    let key =
        format!("{};type=private?pin-value={}", read("key.uri")?.replace(";type=private", ""), read("pin")?);
    let mut command = Command::new("openssl");
    command.current_dir(work.path()).env("PKCS11_MODULE_PATH", module).env("SOFTHSM2_CONF", configuration);
    command.args(["ca", "-batch", "-notext", "-config", "ca.cnf", "-engine", "pkcs11", "-keyform", "engine"]);
    command.args(["-keyfile", &key, "-cert"]).arg(folder.join("root.pem")).args([
        "-out",
        "/dev/null",
        "-infiles",
    ]);
    let requests = requests(folder)?;
    command.args(&requests);
    let before = cpu::used_us("self", CHILDREN)?;
    output(&mut command).context("openssl ca failed")?;
    let made = fs::read_dir(work.path().join("new"))?.count();
    ensure!(made == requests.len(), "openssl ca made {made} of {} certificates", requests.len());
    #[allow(clippy::cast_precision_loss, reason = "hundreds")]
    Ok((cpu::used_us("self", CHILDREN)? - before) / made as f64)
}

/// CPU per certificate of `cfssl serve`, with the key in software.
fn cfssl(folder: &Path) -> Result<f64> {
    let work = tempfile::tempdir()?;
    let ca = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out ca.pem -days 30 -subj /CN=Root";
    output(Command::new("openssl").current_dir(work.path()).args(ca.split(' ')))?;
    fs::write(work.path().join("config.json"), CFSSL_CONFIGURATION)?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
    let mut command = Command::new("cfssl");
    command.current_dir(work.path()).args(["serve", "-address", "127.0.0.1", "-port", &port]);
    command.args(["-ca", "ca.pem", "-ca-key", "key.pem", "-config", "config.json", "-loglevel", "5"]);
    let server = Server(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    let address = format!("127.0.0.1:{port}");
    let begin = Instant::now();
    while TcpStream::connect(&address).is_err() {
        ensure!(begin.elapsed() < Duration::from_secs(20), "cfssl serve does not listen");
    }
    let requests = requests(folder)?;
    let post = |path: &PathBuf| -> Result<()> {
        let body = serde_json::json!({ "certificate_request": fs::read_to_string(path)?, "hosts": ["x"] });
        let (body, mut answer) = (body.to_string(), String::new());
        let mut stream = TcpStream::connect(&address)?;
        let head = "POST /api/v1/cfssl/sign HTTP/1.0\r\nContent-Type: application/json";
        write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
        stream.read_to_string(&mut answer)?;
        ensure!(answer.contains("BEGIN CERTIFICATE"), "cfssl answered {answer}");
        Ok(())
    };
    post(&requests[0])?;
    let process = server.0.id().to_string();
    let before = cpu::used_us(&process, cpu::OWN)?;
    const REPEATS: usize = 5;
    (0..REPEATS).flat_map(|_| &requests).try_for_each(post)?;
    #[allow(clippy::cast_precision_loss, reason = "hundreds")]
    Ok((cpu::used_us(&process, cpu::OWN)? - before) / (REPEATS * requests.len()) as f64)
}

/// CPU per certificate of Python's cryptography, with the key in software.
fn cryptography(python: &Path, folder: &Path) -> Result<f64> {
    let script = root().join("bench/signer/cryptography_ca.py");
    let text = output(Command::new(python).arg(script).arg(folder).arg("10"))?;
    text.trim().parse().with_context(|| format!("the script printed {text:?}"))
}

fn requests(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "csr"));
    paths.sort();
    ensure!(!paths.is_empty(), "there are no requests");
    Ok(paths)
}

/// A program that is killed at the end.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// User and system time of the ended children of a process: the positions after its name.
const CHILDREN: [usize; 2] = [13, 14];

const TPM_MODULES: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so",
    "/usr/lib/aarch64-linux-gnu/pkcs11/libtpm2_pkcs11.so",
    "/usr/lib64/pkcs11/libtpm2_pkcs11.so",
];

const CA_CONFIGURATION: &str = "[ca]
default_ca = d
[d]
database = index.txt
serial = serial
new_certs_dir = new
default_md = sha256
default_days = 365
policy = p
x509_extensions = x
unique_subject = no
[p]
organizationName = supplied
commonName = supplied
[x]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
crlDistributionPoints = URI:http://pki.example.com/cso.crl
authorityInfoAccess = OCSP;URI:http://ocsp.example.com/
";

const CFSSL_CONFIGURATION: &str = r#"{"signing": {"default": {"expiry": "8760h", "usages": ["digital signature"],
    "crl_url": "http://pki.example.com/cso.crl", "ocsp_url": "http://ocsp.example.com/"}}}"#;
