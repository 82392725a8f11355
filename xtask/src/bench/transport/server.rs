//! The measured servers, and the generator that loads them.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{
    python,
    workspace::{cargo, on_path, output, root, run, shown, target},
};

/// The receivers of the same load.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Contestant {
    Ours,
    Echo,
    Node,
    Python,
}

impl Contestant {
    pub(super) const ALL: [Self; 4] = [Self::Ours, Self::Echo, Self::Node, Self::Python];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Echo => "bare echo",
            Self::Node => "Node ocpp-rpc",
            Self::Python => "Python ocpp",
        }
    }
}

/// Whether the stations connect over TLS.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Link {
    Plain,
    Tls,
}

/// The programs that were built and installed for a run.
pub(super) struct Programs {
    python: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Programs {
    /// Builds the generator and the servers, installs the packages of the others, creates a
    /// certificate.
    pub(super) fn prepare() -> Result<Self> {
        for program in ["node", "npm", "openssl"] {
            if !on_path(program) {
                bail!("{program} is missing; install it: `sudo apt-get install nodejs npm openssl`");
            }
        }
        eprintln!("building the generator and the servers");
        let mut build = cargo();
        build.current_dir(sources()).env("CARGO_TARGET_DIR", folder());
        run(build.args(["build", "--quiet", "--release", "--locked"]))?;
        install_node()?;
        let (certificate, key) = (folder().join("certificate.pem"), folder().join("key.pem"));
        output(
            Command::new("openssl")
                .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"])
                .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"])
                .arg("-keyout")
                .arg(&key)
                .arg("-out")
                .arg(&certificate),
        )?;
        Ok(Self { python: python::environment()?, certificate, key })
    }

    /// Starts a server that reads each station's messages without a limit of the rate. Returns when
    /// it listens.
    pub(super) fn start(&self, contestant: Contestant, link: Link) -> Result<Server> {
        self.start_with(contestant, link, &[])
    }

    /// Starts our server as an operator does: with the default limit of messages per second.
    pub(super) fn start_limited(&self) -> Result<Server> {
        self.start_with(Contestant::Ours, Link::Plain, &["--message-rate"])
    }

    fn start_with(&self, contestant: Contestant, link: Link, options: &[&str]) -> Result<Server> {
        let mut command = match contestant {
            Contestant::Ours => Command::new(program("server-ours")),
            Contestant::Echo => Command::new(program("server-echo")),
            Contestant::Node => script(Path::new("node"), &node_folder().join("server.js")),
            Contestant::Python => script(&self.python, &sources().join("servers/python/server.py")),
        };
        if link == Link::Tls {
            command.arg("--certificate").arg(&self.certificate).arg("--key").arg(&self.key);
        }
        let mut process = Running::start(command.args(options))?;
        let line = process.line()?;
        let port = line.trim().parse().with_context(|| format!("{} printed {line:?}", contestant.name()))?;
        Ok(Server { contestant, link, port, process })
    }
}

/// A server that listens. Dropping it kills it.
pub(super) struct Server {
    pub(super) contestant: Contestant,
    link: Link,
    port: u16,
    process: Running,
}

impl Server {
    /// Lets the generator measure one quantity of this server.
    pub(super) fn measure(&self, command: &str, options: &[(&str, String)]) -> Result<Value> {
        self.load(command, options)?.result()
    }

    /// Starts the generator on this server.
    pub(super) fn load(&self, command: &str, options: &[(&str, String)]) -> Result<Generator> {
        let mut generator = generator(command, &self.port.to_string(), self.process.id());
        if self.link == Link::Tls {
            generator.arg("--tls");
        }
        if self.contestant == Contestant::Echo {
            generator.arg("--echo");
        }
        for (name, value) in options {
            generator.arg(format!("--{name}={value}"));
        }
        Generator::start(&mut generator)
    }
}

/// A running generator. Dropping it kills it.
pub(super) struct Generator(Running);

impl Generator {
    /// Starts it.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        Ok(Self(Running::start(command)?))
    }

    /// Waits for its next output.
    pub(super) fn result(&mut self) -> Result<Value> {
        let line = self.0.line()?;
        serde_json::from_str(&line).with_context(|| format!("`{}` printed {line:?}", self.0.text))
    }

    /// Makes a generator that holds connections continue.
    pub(super) fn resume(&mut self) -> Result<()> {
        writeln!(self.0.input).with_context(|| format!("`{}` does not listen", self.0.text))
    }
}

/// A child process that prints lines.
pub(super) struct Running {
    child: Child,
    input: ChildStdin,
    lines: BufReader<ChildStdout>,
    text: String,
}

impl Running {
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let text = shown(command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{text}`"))?;
        let input = child.stdin.take().context("no standard input")?;
        let lines = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Self { child, input, lines, text })
    }

    /// The process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its next line.
    pub(super) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let read =
            self.lines.read_line(&mut line).with_context(|| format!("cannot read from `{}`", self.text))?;
        if read == 0 {
            bail!("`{}` has ended without a result", self.text);
        }
        Ok(line)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The packages of the Node server, in the versions of its lock file.
fn install_node() -> Result<()> {
    let (from, to) = (sources().join("servers/node"), node_folder());
    fs::create_dir_all(&to).with_context(|| format!("cannot make {}", to.display()))?;
    for file in ["package.json", "package-lock.json", "server.js"] {
        fs::copy(from.join(file), to.join(file))
            .with_context(|| format!("cannot copy {file} to {}", to.display()))?;
    }
    output(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&to))
        .context(
            "npm could not install the packages of bench/transport/servers/node; is the registry reachable?",
        )?;
    Ok(())
}

fn script(interpreter: &Path, file: &Path) -> Command {
    let mut command = Command::new(interpreter);
    command.arg(file);
    command
}

/// A command of the generator, for the server with this port and this process.
pub(super) fn generator(command: &str, port: &str, pid: u32) -> Command {
    let mut generator = Command::new(program("generator"));
    generator.arg(command).args(["--port", port, "--pid", &pid.to_string()]);
    generator
}

pub(super) fn program(name: &str) -> PathBuf {
    folder().join("release").join(name)
}

fn node_folder() -> PathBuf {
    folder().join("node")
}

/// The workspace of the generator and the servers.
fn sources() -> PathBuf {
    root().join("bench/transport")
}

/// The folder into which they are built and installed.
pub(super) fn folder() -> PathBuf {
    target().join("bench-transport")
}

/// The value that the generator has measured under this name.
pub(super) fn value(result: &Value, name: &str) -> Result<f64> {
    result[name].as_f64().with_context(|| format!("the generator printed no {name}: {result}"))
}
