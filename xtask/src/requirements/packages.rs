//! Package managers, and how they install packages.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::table::Requirement;
use crate::workspace::{on_path, run, shown};

/// A package manager whose package names are in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Manager {
    /// Debian, Ubuntu
    Debian,
    /// Fedora
    Fedora,
    /// macOS, with Homebrew
    Macos,
}

impl Manager {
    /// The package manager of this system, if it is one of these.
    pub(super) fn of_this_system() -> Option<Self> {
        let managers = [("apt-get", Self::Debian), ("dnf", Self::Fedora), ("brew", Self::Macos)];
        managers.iter().find(|(program, _)| on_path(program)).map(|(_, manager)| *manager)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Debian => "Debian",
            Self::Fedora => "Fedora",
            Self::Macos => "Homebrew",
        }
    }

    /// The names of the packages that meet a requirement; empty if this system has none.
    pub(super) const fn packages(self, requirement: &Requirement) -> &'static [&'static str] {
        match self {
            Self::Debian => requirement.debian,
            Self::Fedora => requirement.fedora,
            Self::Macos => requirement.macos,
        }
    }

    /// Whether this user can install packages: root, a user with sudo, or any user of Homebrew.
    pub(super) fn can_install(self) -> bool {
        self == Self::Macos || is_root() || on_path("sudo")
    }

    /// The command by which a person installs these packages. Without sudo it is for root.
    pub(super) fn command(self, packages: &[&str]) -> String {
        let sudo = if self == Self::Macos || is_root() || !on_path("sudo") { "" } else { "sudo " };
        let update = if self == Self::Debian { format!("{sudo}apt-get update && ") } else { String::new() };
        let install = match self {
            // No command needs what they recommend.
            Self::Debian => "apt-get install --no-install-recommends",
            Self::Fedora => "dnf install",
            Self::Macos => "brew install",
        };
        format!("{update}{sudo}{install} {}", packages.join(" "))
    }

    /// Installs packages without a question.
    pub(super) fn install(self, packages: &[&str]) -> Result<()> {
        if !self.can_install() {
            bail!("installing needs root, and sudo is missing; as root, type\n  {}", self.command(packages));
        }
        let privileged = |program: &str| {
            if self == Self::Macos || is_root() {
                return Command::new(program);
            }
            let mut command = Command::new("sudo");
            command.arg(program);
            command
        };
        let command = match self {
            Self::Debian => {
                let mut update = privileged("apt-get");
                run(update.args(["-q", "update"]))?;
                // Without questions about a time zone or a restart, because no person may be there
                // to answer.
                let mut install = privileged("env");
                install.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "install"]);
                install.arg("--no-install-recommends");
                install
            }
            Self::Fedora => {
                let mut install = privileged("dnf");
                install.args(["-q", "-y", "install"]);
                install
            }
            Self::Macos => {
                let mut install = privileged("brew");
                install.args(["install", "--quiet"]);
                install
            }
        };
        let mut command = command;
        command.args(packages);
        eprintln!("installing: {}", shown(&command));
        run(&mut command).with_context(|| format!("cannot install {}", packages.join(" ")))
    }
}

/// The packages that meet these requirements, each once, and the requirements without a package
/// for this system that have one for others.
pub(super) fn of<'a>(
    requirements: &[&'a Requirement],
    manager: Manager,
) -> (Vec<&'static str>, Vec<&'a Requirement>) {
    let mut packages = Vec::new();
    let mut none = Vec::new();
    for requirement in requirements {
        let names = manager.packages(requirement);
        if names.is_empty() && requirement.fix().is_none() {
            none.push(*requirement);
        }
        for name in names {
            if !packages.contains(name) {
                packages.push(*name);
            }
        }
    }
    (packages, none)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
