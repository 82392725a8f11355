//! Why a shared library cannot be loaded: the loader reports one for another processor as a missing
//! file.

use std::{fs::File, io::Read as _, path::Path};

use crate::io::token::errors::TokenError;

/// The error for a library that the loader refused.
pub(crate) fn explain(path: &Path, source: Box<dyn std::error::Error + Send + Sync>) -> TokenError {
    let path_buf = path.to_owned();
    match (of_file(path), of_file(Path::new("/proc/self/exe"))) {
        (Some(module), Some(own)) if module != own => {
            TokenError::ModuleArchitecture { path: path_buf, module: module.name(), own: own.name(), source }
        }
        _ => TokenError::ModuleNotFound { path: path_buf, source },
    }
}

/// What an ELF file was compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Architecture {
    /// EI_CLASS
    bits: u8,
    /// EI_DATA
    order: u8,
    /// e_machine
    machine: u16,
}

/// `None` for a file that is not ELF or cannot be read.
fn of_file(path: &Path) -> Option<Architecture> {
    let mut header = [0; 20];
    File::open(path).ok()?.read_exact(&mut header).ok()?;
    let [0x7f, b'E', b'L', b'F', bits, order, ..] = header else { return None };
    let machine = [header[18], header[19]];
    let machine = if order == 2 { u16::from_be_bytes(machine) } else { u16::from_le_bytes(machine) };
    Some(Architecture { bits, order, machine })
}

impl Architecture {
    fn name(self) -> String {
        let bits = if self.bits == 1 { 32 } else { 64 };
        let known = MACHINES.iter().find(|(machine, _)| *machine == self.machine);
        let machine =
            known.map_or_else(|| format!("machine {:#x}", self.machine), |(_, name)| (*name).into());
        let order = if self.order == 2 { ", big-endian" } else { "" };
        format!("{machine}, {bits} bits{order}")
    }
}

/// Values of e_machine.
const MACHINES: &[(u16, &str)] = &[
    (3, "x86"),
    (8, "MIPS"),
    (20, "PowerPC"),
    (21, "PowerPC"),
    (22, "S/390"),
    (40, "ARM"),
    (62, "x86-64"),
    (183, "AArch64"),
    (243, "RISC-V"),
    (258, "LoongArch"),
];
