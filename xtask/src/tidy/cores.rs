//! Only files below `io/` and programs use the outside world: everything else takes bytes and
//! `now`, and returns values.

use super::{
    finding::{Finding, Rule},
    resolve::{Kind, Place, mentions},
    source::Workspace,
    tree::{Module, Modules},
};

/// Reports uses of the outside world in a core, and cores that import from `io/`.
pub(crate) fn check(workspace: &Workspace, findings: &mut Vec<Finding>) {
    for target in &workspace.targets {
        for module in &target.modules.list {
            if is_core(&module.file) {
                check_mentions(&target.modules, module, findings);
                check_imports(&target.modules, module, findings);
            }
        }
    }
}

/// Whether a file belongs to a core. Programs, benchmarks and xtask are shells as a whole.
fn is_core(file: &str) -> bool {
    let shell = ["xtask/", "bench/"].iter().any(|folder| file.starts_with(folder));
    !shell && !in_io(file) && !file.contains("/bin/") && !file.ends_with("/main.rs")
}

fn in_io(file: &str) -> bool {
    file.contains("/io/") || file.ends_with("/io.rs")
}

fn check_mentions(modules: &Modules, module: &Module, findings: &mut Vec<Finding>) {
    let mut report = |line: usize, message: String| {
        findings.push(Finding { file: module.file.clone(), line, rule: Rule::Core, message });
    };
    for mention in module.items.iter().flat_map(mentions) {
        match &mention.kind {
            Kind::Await => report(mention.line, "`.await` outside io/: a core waits for nothing".to_owned()),
            Kind::Method { name, arguments, .. } => {
                if OUTSIDE_METHODS.contains(&(name, *arguments)) {
                    report(mention.line, format!("`.{name}()` outside io/"));
                }
            }
            Kind::Path(path) => {
                let Some(Place::Elsewhere(full)) = modules.resolve(module, path) else { continue };
                let full = full.join("::");
                if is_outside(&full) {
                    report(mention.line, format!("`{full}` outside io/"));
                }
            }
        }
    }
}

fn is_outside(path: &str) -> bool {
    OUTSIDE.iter().any(|outside| path == *outside || path.starts_with(&format!("{outside}::")))
}

fn check_imports(modules: &Modules, module: &Module, findings: &mut Vec<Finding>) {
    let mut report = |line: usize, path: &[String]| {
        let message = format!("imports `{}`, which stands below io/", path.join("::"));
        findings.push(Finding { file: module.file.clone(), line, rule: Rule::CoreImportsIo, message });
    };
    let leads_to_io = |path: &[String]| match modules.resolve(module, path) {
        Some(Place::Item(place, _) | Place::Module(place)) => {
            modules.get(&place).is_some_and(|target| in_io(&target.file))
        }
        _ => false,
    };
    for import in module.imports.values() {
        // A re-export in a module is a table of contents.
        if !import.public && leads_to_io(&import.path) {
            report(import.line, &import.path);
        }
    }
    for mention in module.items.iter().flat_map(mentions) {
        if let Kind::Path(path) = &mention.kind
            && path.len() > 1
            && !module.imports.contains_key(&path[0])
            && leads_to_io(path)
        {
            report(mention.line, path);
        }
    }
}

/// The outside world: the clock, files, sockets, threads, tasks, waits, the environment, tokens,
/// databases.
const OUTSIDE: &[&str] = &[
    "chrono::Local::now",
    "chrono::Utc::now",
    "cryptoki",
    "getrandom",
    "hyper::client",
    "hyper_util",
    "openssl::rand",
    "rand::random",
    "rand::rng",
    "redb",
    "rustix",
    "sqlx",
    "std::env",
    "std::fs",
    "std::io::stderr",
    "std::io::stdin",
    "std::io::stdout",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os::unix::net",
    "std::process",
    "std::thread",
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "tokio::fs",
    "tokio::net",
    "tokio::process",
    "tokio::runtime",
    "tokio::select",
    "tokio::signal",
    "tokio::spawn",
    "tokio::task",
    "tokio::time",
];

/// Methods that read a clock or a file, or wait, with the number of their arguments.
const OUTSIDE_METHODS: &[(&str, usize)] = &[
    ("canonicalize", 0),
    ("elapsed", 0),
    ("exists", 0),
    ("is_dir", 0),
    ("is_file", 0),
    ("read_dir", 0),
    ("set_read_timeout", 1),
    ("set_write_timeout", 1),
    ("symlink_metadata", 0),
    ("to_socket_addrs", 0),
    ("try_exists", 0),
];
