//! The programs, libraries and packages that the commands of this workspace need from the system.
//! This is the only list of them.

mod packages;
mod table;

use anyhow::{Result, bail};

pub(crate) use self::table::Use;
use self::{
    packages::Manager,
    table::{REQUIREMENTS, Requirement},
};

/// Options of `cargo xtask requirements`.
#[derive(clap::Args)]
pub(crate) struct RequirementsArguments {
    /// The commands to list requirements for; without any, all of them
    #[arg(value_enum, value_name = "COMMAND")]
    commands: Vec<Use>,
    /// Install what is missing with the system's package manager: as root directly, else by sudo
    #[arg(long)]
    install: bool,
    /// Print the names of the packages for another system
    #[arg(long, value_enum, value_name = "SYSTEM", conflicts_with = "install")]
    names: Option<Manager>,
}

/// The action of a command if something is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Install it and continue.
    Install,
    /// End with an error that names everything that is missing.
    Report,
}

/// `cargo xtask requirements`: lists each requirement, its purpose, and whether it is there.
pub(crate) fn run_command(arguments: &RequirementsArguments) -> Result<()> {
    let commands = &arguments.commands;
    let meant = |requirement: &&Requirement| {
        commands.is_empty() || commands.iter().any(|command| requirement.used_by.contains(command))
    };
    let meant = REQUIREMENTS.iter().filter(meant).collect::<Vec<_>>();
    if let Some(manager) = arguments.names {
        let (packages, none) = packages::of(&meant, manager);
        println!("{}", manager.command(&packages));
        for requirement in none {
            println!("not available: {}, which {}", requirement.name, requirement.purpose);
        }
        return Ok(());
    }
    for requirement in &meant {
        let mark = if requirement.is_met() { "✓" } else { "✗" };
        println!("{mark} {:<24} {}", requirement.name, requirement.purpose);
    }
    let missing = meant.into_iter().filter(|requirement| !requirement.is_met()).collect::<Vec<_>>();
    if missing.is_empty() {
        println!("\nNothing is missing.");
        return Ok(());
    }
    if arguments.install {
        return install(&missing);
    }
    bail!("{}", report(&missing, &installing(commands)));
}

/// Ensures that the requirements of a command are met.
pub(crate) fn provide(used_by: Use, on_missing: Missing) -> Result<()> {
    let missing = missing(used_by);
    match on_missing {
        _ if missing.is_empty() => Ok(()),
        Missing::Install => install(&missing),
        Missing::Report => {
            let itself = "cargo xtask test --install".to_owned();
            let command = if used_by == Use::Test { itself } else { installing(&[used_by]) };
            bail!("{}", report(&missing, &command))
        }
    }
}

/// The command that installs the requirements of these commands, and no others.
fn installing(commands: &[Use]) -> String {
    let commands = commands.iter().filter_map(clap::ValueEnum::to_possible_value);
    let commands = commands.map(|command| format!(" {}", command.get_name())).collect::<String>();
    format!("cargo xtask requirements{commands} --install")
}

/// The missing requirements of the tests. Each has the filter for the tests that need it, unless
/// all need it.
pub(crate) fn missing_for_tests() -> Vec<(&'static str, Option<&'static str>)> {
    missing(Use::Test).iter().map(|requirement| (requirement.name, requirement.tests)).collect()
}

/// Whether the list names a program.
pub(crate) fn lists(program: &str) -> bool {
    REQUIREMENTS.iter().any(|requirement| requirement.program() == Some(program))
}

fn missing(used_by: Use) -> Vec<&'static Requirement> {
    let needed = REQUIREMENTS.iter().filter(|requirement| requirement.used_by.contains(&used_by));
    needed.filter(|requirement| !requirement.is_met()).collect()
}

/// Installs the packages of these requirements and checks that they provide what was missing.
fn install(missing: &[&'static Requirement]) -> Result<()> {
    let Some(manager) = Manager::of_this_system() else { bail!("{}", report(missing, "")) };
    let (packages, none) = packages::of(missing, manager);
    if !none.is_empty() || missing.iter().any(|requirement| requirement.fix().is_some()) {
        bail!("{}", report(missing, ""));
    }
    manager.install(&packages)?;
    let still = missing.iter().filter(|requirement| !requirement.is_met()).copied().collect::<Vec<_>>();
    if still.is_empty() {
        return Ok(());
    }
    bail!("after the installation of {}: {}", packages.join(" "), report(&still, ""));
}

/// A report of everything that is missing, of the purpose of each, and of the one command that
/// installs it.
fn report(missing: &[&Requirement], command: &str) -> String {
    let mut text = "missing:\n".to_owned();
    for requirement in missing {
        text += &format!("  {:<24} {}\n", requirement.name, requirement.purpose);
    }
    for requirement in missing {
        if let Some(fix) = requirement.fix() {
            text += &format!("for {}: {fix}\n", requirement.name);
        }
    }
    let packaged = missing.iter().filter(|requirement| requirement.fix().is_none());
    let packaged = packaged.copied().collect::<Vec<_>>();
    if packaged.is_empty() {
        return text.trim_end().to_owned();
    }
    let Some(manager) = Manager::of_this_system() else {
        return text
            + "install it with the package manager of your system; `cargo xtask requirements --names debian` prints Debian's names";
    };
    let (packages, none) = packages::of(&packaged, manager);
    let packages_meet_all = none.is_empty() && packaged.len() == missing.len();
    for requirement in none {
        text += &format!("{} has no package for {}\n", manager.name(), requirement.name);
    }
    if !packages.is_empty() {
        let root = if manager.can_install() { "" } else { "as root, " };
        let what = if packages_meet_all { "it" } else { "the rest" };
        text += &format!("{root}install {what} with\n  {}\n", manager.command(&packages));
        if !command.is_empty() && manager.can_install() {
            text += &format!("or with\n  {command}\n");
        }
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_has_a_reason_a_use_and_a_package_of_debian_or_a_fix() {
        for requirement in REQUIREMENTS {
            assert!(!requirement.purpose.is_empty(), "{}", requirement.name);
            assert!(!requirement.used_by.is_empty(), "{}", requirement.name);
            assert_eq!(requirement.debian.is_empty(), requirement.fix().is_some(), "{}", requirement.name);
            // If a system lacks it, the tests that need it must be known.
            let everywhere = !requirement.fedora.is_empty() && !requirement.macos.is_empty();
            let for_tests = requirement.used_by.contains(&Use::Test);
            assert!(everywhere || !for_tests || requirement.tests.is_some(), "{}", requirement.name);
        }
    }

    #[test]
    fn each_package_is_named_once_and_what_no_package_has_is_told_apart() {
        let all = REQUIREMENTS.iter().collect::<Vec<_>>();
        let (packages, none) = packages::of(&all, Manager::Fedora);
        let once = packages.iter().collect::<std::collections::BTreeSet<_>>();
        assert_eq!(once.len(), packages.len());
        assert_eq!(none.iter().map(|requirement| requirement.name).collect::<Vec<_>>(), ["cfssl"]);
        let command = Manager::Debian.command(&["swtpm", "dbus"]);
        assert!(command.ends_with("apt-get install --no-install-recommends swtpm dbus"), "{command}");
    }

    #[test]
    fn what_no_package_has_is_reported_with_its_fix_before_the_packages() {
        let two = ["user namespaces", "swtpm"];
        let two =
            REQUIREMENTS.iter().filter(|requirement| two.contains(&requirement.name)).collect::<Vec<_>>();
        let text = report(&two, "");
        assert!(text.contains("\nfor user namespaces: start a container with `--privileged`;"), "{text}");
        assert!(text.contains("install the rest with") || Manager::of_this_system().is_none(), "{text}");
        let (packages, none) = packages::of(&two, Manager::Debian);
        assert_eq!((packages, none.len()), (vec!["swtpm"], 0));
    }

    #[test]
    fn the_command_that_installs_names_what_is_meant() {
        assert_eq!(installing(&[]), "cargo xtask requirements --install");
        assert_eq!(installing(&[Use::Check, Use::Fuzz]), "cargo xtask requirements check fuzz --install");
    }

    #[test]
    fn everything_that_is_missing_is_reported_at_once() {
        let two = REQUIREMENTS.iter().filter(|requirement| requirement.name.starts_with("swtpm"));
        let text = report(&two.collect::<Vec<_>>(), "cargo xtask requirements --install");
        assert!(text.contains("  swtpm                    is a TPM in software\n"), "{text}");
        assert!(text.contains("  swtpm_setup              makes the state of that TPM\n"), "{text}");
    }
}
