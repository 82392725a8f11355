//! Local commands, with a running agent and without one.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{fs::MetadataExt as _, net::UnixStream},
    path::Path,
    process::{Command, Output},
    time::SystemTime,
};

use ocpp_types::v201::InstallCertificateUseEnumType;
use serde_json::{Value, json};
use station::Config;

use crate::{reusable::renewed, stage::Stage};

#[track_caller]
fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// The standard error of the command, which must end with this code.
#[track_caller]
fn fails(output: &Output, code: i32) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{error}");
    error
}

fn json_of(stage: &Stage, arguments: &[&str]) -> Value {
    let text = succeeds(&stage.command(arguments).output().expect("starts"));
    serde_json::from_str(&text).expect("JSON")
}

fn text_of(stage: &Stage, arguments: &[&str]) -> String {
    succeeds(&stage.plain_command(arguments).output().expect("starts"))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("is there").mode() & 0o777
}

/// Waits until the agent accepts commands.
#[track_caller]
fn wait_for_status(stage: &Stage) -> Value {
    let status = || stage.command(&["status"]).output().expect("starts");
    stage.wait_until("a status", || status().status.success());
    json_of(stage, &["status"])
}

#[test]
fn inventory_and_status_beside_the_running_agent_and_after_it() {
    let stage = Stage::prepare();
    let mut csms = stage.operator();
    stage.configure(csms.port);
    // Read from the store itself, because no agent has ever run.
    let before = stage.inventory();
    assert_eq!((before.roots.len(), before.max_roots, before.own.len()), (1, 32, 0));
    let station = stage.station();
    for step in ["connection", "BootNotification"] {
        csms.wait_for(&stage, step);
    }
    renewed(&stage, &mut csms);
    stage.wait_until("the new certificate is in use", || stage.inventory().own.iter().any(|own| own.in_use));

    let status = json_of(&stage, &["status"]);
    assert_eq!((&status["pid"], &status["identity"]), (&json!(station.id()), &json!("CS001")));
    let up = &status["link"]["up"];
    assert_eq!(
        (&up["slot"], &up["security_profile"], &up["registration"]),
        (&json!(1), &json!(3), &json!("Accepted"))
    );
    assert!(up["url"].as_str().is_some_and(|url| url.contains(&csms.port.to_string())), "{up}");
    let own = &up["certificate"];
    assert!(own["subject"].as_str().is_some_and(|subject| subject.contains("CN=SN-0001")), "{own}");
    let text = text_of(&stage, &["status"]);
    assert!(text.contains("security profile 3") && text.contains("CN=SN-0001"), "{text}");

    // The inventory of the agent equals that of the store.
    let beside = stage.inventory();
    let serial_number = beside.own[0].certificate.serial_number.expect("readable");
    assert_eq!(serial_number.to_string(), own["serial_number"].as_str().expect("text"));
    assert!(beside.own[0].key_uri.starts_with("pkcs11:") && !beside.own[0].key_uri.contains("pin"));
    assert_eq!(mode(&stage.path("data/control.sock")), 0o600);
    assert_eq!(mode(&stage.path("data")), 0o700);
    let text = text_of(&stage, &["inventory"]);
    station.terminate();
    assert!(!stage.path("data/control.sock").exists());
    assert_eq!(stage.inventory(), beside);
    assert_eq!(text_of(&stage, &["inventory"]), text);
    for told in ["CSMSRootCertificate", "1 of at most 32", "ChargingStationCertificate  in use", "1 day left"]
    {
        assert!(text.contains(told), "{told}: {text}");
    }
    // A CSMS deletes by the same hash data.
    let hash_data = json_of(&stage, &["hash-data", "ca.pem"]);
    let listed = serde_json::to_value(&beside.roots[0].certificate.hash_data).expect("JSON");
    assert_eq!(listed, hash_data);
}

#[test]
fn a_second_agent_is_refused_with_the_first_ones_process_and_socket() {
    let stage = Stage::prepare();
    let csms = stage.operator();
    stage.configure(csms.port);
    let station = stage.station();
    wait_for_status(&stage);
    for second in [&["run"][..], &["provision", "--csms-root", "ca.pem"]] {
        let error = fails(&stage.command(second).output().expect("starts"), 1);
        let process = format!("process {}", station.id());
        assert!(error.contains(&process) && error.contains("data/control.sock"), "{error}");
    }
    // A killed agent leaves its socket, which does not affect others.
    station.kill();
    assert!(stage.path("data/control.sock").exists());
    let error = fails(&stage.command(&["status"]).output().expect("starts"), 1);
    assert!(error.contains("no agent listens") && error.contains("ocpp-station run"), "{error}");
    assert_eq!(stage.inventory().roots.len(), 1);
    let station = stage.station();
    assert_eq!(wait_for_status(&stage)["pid"], station.id());
    station.terminate();
}

#[test]
fn status_says_why_the_station_is_not_connected() {
    let stage = Stage::prepare();
    stage.server_certificate("bad", "manufacturer", "/O=Test CSO/CN=localhost", crate::stage::Validity::Now);
    let csms = stage.operator_presenting("bad");
    stage.configure(csms.port);
    let station = stage.station();
    stage.wait_for_log("InvalidCsmsCertificate");
    wait_for_status(&stage);
    // The event is logged before the attempt has ended.
    let reason = |status: &Value| status["link"]["down"]["error"].as_str().map(str::to_owned);
    stage.wait_until("a reason", || reason(&json_of(&stage, &["status"])).is_some());
    let status = json_of(&stage, &["status"]);
    let error = reason(&status).expect("it stays until the station is connected");
    assert!(error.contains("not issued under an installed root"), "{error}");
    // The event, and that of the start.
    assert_eq!(status["events_waiting"], 2);
    let text = text_of(&stage, &["status"]);
    assert!(text.contains("not connected") && text.contains("2 security events wait"), "{text}");
    station.terminate();
}

#[test]
fn nonsense_on_the_socket_gets_a_reply_and_harms_nobody() {
    let stage = Stage::prepare();
    let csms = stage.operator();
    stage.configure(csms.port);
    let station = stage.station();
    wait_for_status(&stage);
    let reply = |line: &[u8]| {
        let mut stream = UnixStream::connect(stage.path("data/control.sock")).expect("it listens");
        // The agent may stop reading before everything is written.
        drop(stream.write_all(line));
        let mut reply = String::new();
        BufReader::new(stream).read_line(&mut reply).map(|_| reply).unwrap_or_default()
    };
    for line in [&b"{}\n"[..], b"\"reboot\"\n", b"\xff\n", b"{\"status\":1}\n"] {
        let reply = reply(line);
        assert!(reply.is_empty() || reply.contains("failed"), "{reply}");
    }
    assert!(reply(b"\"reboot\"\n").contains("cannot be read"));
    assert_eq!(reply(&vec![b' '; 3 << 20]), "");
    // Silent conversations do not block others.
    let _silent: Vec<_> =
        (0..8).map(|_| UnixStream::connect(stage.path("data/control.sock")).expect("it listens")).collect();
    assert_eq!(json_of(&stage, &["status"])["pid"], station.id());
    station.terminate();
}

#[test]
fn a_folder_whose_path_is_too_long_for_a_socket_hinders_no_station() {
    let stage = Stage::prepare();
    let mut csms = stage.operator();
    let long = format!("data/{}", "long".repeat(30));
    stage.configure(csms.port);
    let file = stage.path("station.toml");
    let text = fs::read_to_string(&file).expect("reads").replace("\"data\"", &format!("\"{long}\""));
    fs::write(&file, text).expect("writes");
    succeeds(&stage.command(&["provision", "--csms-root", "ca.pem"]).output().expect("starts"));
    let station = stage.station();
    csms.wait_for(&stage, "BootNotification");
    let error = fails(&stage.command(&["status"]).output().expect("starts"), 1);
    assert!(error.contains("too long for a socket"), "{error}");
    let error = fails(&stage.command(&["run"]).output().expect("starts"), 1);
    assert!(error.contains("in use by another process"), "{error}");
    station.terminate();
}

#[test]
fn a_terminal_obeys_no_name_in_a_certificate() {
    let stage = Stage::prepare();
    stage.configure(1);
    stage.root("evil", "/O=Test CSO/CN=\u{1b}[2Jgone\u{7}");
    succeeds(&stage.command(&["provision", "--csms-root", "evil.pem"]).output().expect("starts"));
    let text = text_of(&stage, &["inventory"]);
    assert!(text.contains("gone") && !text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
}

#[test]
fn wrong_usage_ends_with_2_and_failure_with_1() {
    let stage = Stage::prepare();
    let code = |arguments: &[&str]| stage.command(arguments).output().expect("starts").status.code();
    assert_eq!(code(&["no-such-command"]), Some(2));
    assert_eq!(code(&["inventory", "--colour"]), Some(2));
    assert_eq!(code(&["provision"]), Some(2));
    // There is no configuration.
    assert_eq!(code(&["inventory"]), Some(1));
    assert_eq!(code(&["status"]), Some(1));
}

/// The program has every command that the documentation shows.
#[test]
fn the_documentation_shows_commands_that_exist() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let help = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_ocpp-station")).args(arguments).output().expect("starts");
        succeeds(&output)
    };
    let own = help(&["--help"]);
    let commands: Vec<&str> = own
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.len() > 5, "{own}");
    let text = fs::read_to_string(workspace.join("docs/firmware.md")).expect("reads");
    let (_, example) = text.split_once("```toml\n").expect("an example of the configuration");
    let (example, _) = example.split_once("```").expect("it ends");
    let config = station::Config::parse(example).expect("the example is valid");
    assert!(config.iso15118_defaults().is_some_and(|iso15118| iso15118.controllers.len() == 2));
    let text = text + &own;
    let mut shown = Vec::new();
    for (position, _) in text.match_indices("ocpp-station ") {
        let line = text[position..].lines().next().unwrap_or_default();
        // A command ends with its code span, or at the next column or comment.
        let line = line.split(['`', '|']).next().unwrap_or_default();
        let line = line.split("  ").next().unwrap_or_default();
        let Some(command) = line.split_whitespace().nth(1).filter(|word| commands.contains(word)) else {
            // In prose: a name at the end of a code span or of a line.
            continue;
        };
        let options = help(&[command, "--help"]);
        for option in line.split_whitespace().filter(|word| word.starts_with("--")) {
            assert!(options.contains(option), "{line}: {command} has no {option}");
        }
        shown.push(command);
    }
    for command in ["run", "provision", "inventory", "status", "renew", "events"] {
        assert!(shown.contains(&command), "{command} is not documented: {shown:?}");
    }
    // The documentation shows no command that does not exist.
    for line in text.lines().filter_map(|line| line.split("`ocpp-station ").nth(1)) {
        let command = line.split([' ', '`']).next().unwrap_or_default();
        assert!(commands.contains(&command), "`ocpp-station {command}` does not exist");
    }
}

/// Names in certificates are chosen by their issuers, so they are not trusted.
#[test]
fn a_name_in_a_certificate_is_not_obeyed_by_a_terminal() {
    let stage = Stage::prepare();
    stage.configure(1);
    stage.root("evil", "/O=Test CSO/CN=Evil\u{1b}[2J\u{7}\u{9b}2J");
    succeeds(&stage.command(&["provision", "--csms-root", "evil.pem"]).output().expect("starts"));
    let obeyed = |letter: char| letter.is_control() && letter != '\n';
    let text = text_of(&stage, &["inventory"]);
    // RFC 4514 writes C0 as \1b, and does not mention C1.
    assert!(text.contains(r"\u{9b}2J") && !text.contains(obeyed), "{}", text.escape_debug());
    let json = succeeds(&stage.command(&["inventory"]).output().expect("starts"));
    assert!(!json.contains(obeyed), "{}", json.escape_debug());
    let subject = &serde_json::from_str::<Value>(&json).expect("JSON")["roots"][1]["certificate"]["subject"];
    assert!(subject.as_str().is_some_and(|subject| subject.contains("\u{9b}2J")), "{subject}");
}

#[test]
fn a_full_disk_under_the_output_is_an_error_and_a_closed_pipe_is_none() {
    let stage = Stage::prepare();
    stage.configure(1);
    for arguments in [&["inventory"][..], &["events"], &["hash-data", "ca.pem"], &["--help"]] {
        let full = fs::File::options().write(true).open("/dev/full").expect("a full device");
        let mut command = stage.plain_command(arguments);
        let error = fails(&command.stdout(full).output().expect("starts"), 1);
        assert!(error.contains("cannot write to standard output: No space left"), "{arguments:?}: {error}");

        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = stage.plain_command(arguments).stdout(writer).output().expect("starts");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
}

/// Installs `count` manufacturer roots, made by Python's `cryptography`.
fn install_roots(stage: &Stage, count: usize) {
    let python =
        std::env::var("OCPP_PYTHON").expect("OCPP_PYTHON is not set; run the tests with `cargo xtask test`");
    let made =
        Command::new(python).args(["-c", ROOTS, &count.to_string()]).current_dir(stage.path("")).status();
    assert!(made.expect("Python starts").success());
    let text = fs::read_to_string(stage.path("station.toml")).expect("reads");
    let config = Config::parse(&text).expect("a configuration").relative_to(&stage.path(""));
    let store = station::io::open_store(&config).expect("opens");
    let roots = fs::read_to_string(stage.path("roots.pem")).expect("reads");
    for root in roots.split_inclusive("-----END CERTIFICATE-----\n") {
        let use_ = InstallCertificateUseEnumType::ManufacturerRootCertificate;
        store.provision_root(use_, root, SystemTime::now()).expect("installs");
    }
}

const ROOTS: &str = r#"
import datetime, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
key = ec.generate_private_key(ec.SECP256R1())
now = datetime.datetime.now(datetime.timezone.utc)
with open("roots.pem", "wb") as file:
    for number in range(int(sys.argv[1])):
        unit = x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "x" * 64)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"Root {number}")] + [unit] * 20)
        root = x509.CertificateBuilder(name, name, key.public_key(), 1000 + number, now, now + datetime.timedelta(days=2))
        root = root.add_extension(x509.BasicConstraints(True, None), critical=True)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        root = root.add_extension(usage, critical=True).sign(key, hashes.SHA256())
        file.write(root.public_bytes(serialization.Encoding.PEM))
"#;

/// More roots than fit into one line of the agent's reply.
#[test]
fn an_inventory_of_any_length_comes_from_the_running_agent() {
    let stage = Stage::prepare();
    stage.configure_more(1, "[certificates]\nmax_entries = 500\n");
    install_roots(&stage, 400);
    let station = stage.station();
    wait_for_status(&stage);
    let inventory = stage.inventory();
    station.terminate();
    assert_eq!(inventory.roots.len(), 401);
    assert_eq!(stage.inventory(), inventory, "what the store itself has");
    assert!(serde_json::to_string(&inventory).expect("JSON").len() > 1024 * 1024);
}
