//! The server under load, seen from outside.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};
use procfs::process::Process;

/// Which server, and what it answers.
#[derive(clap::Args, Clone)]
pub(crate) struct Server {
    /// The port that it listens on, on every loopback address
    #[arg(long)]
    pub(crate) port: u16,
    /// Its process
    #[arg(long)]
    pub(crate) pid: i32,
    /// It listens with TLS
    #[arg(long)]
    pub(crate) tls: bool,
    /// It sends back what it gets
    #[arg(long)]
    pub(crate) echo: bool,
}

impl Server {
    /// The address for connection number `index`. A loopback address has fewer ports than there may
    /// be stations.
    pub(crate) fn address(&self, index: usize) -> SocketAddr {
        let host = u8::try_from(1 + index / CONNECTIONS_PER_ADDRESS).unwrap_or(u8::MAX);
        (Ipv4Addr::new(127, 0, 0, host), self.port).into()
    }

    /// Processor time of all its threads so far, user and system, in seconds. The kernel reports it
    /// in steps of 10 ms.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let stat = self.process()?.stat().context("cannot read the server's processor time")?;
        #[allow(clippy::cast_precision_loss, reason = "a server does not live for 2^53 ticks")]
        Ok((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64)
    }

    /// Its resident memory, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        let statm = self.process()?.statm().context("cannot read the server's memory")?;
        Ok(statm.resident * procfs::page_size())
    }

    /// The peak of its resident memory, in bytes.
    pub(crate) fn peak_bytes(&self) -> Result<u64> {
        let status = self.process()?.status().context("cannot read the server's memory")?;
        Ok(status.vmhwm.context("the kernel tells no peak of memory")? * 1024)
    }

    fn process(&self) -> Result<Process> {
        Process::new(self.pid).with_context(|| format!("the server, process {}, is gone", self.pid))
    }
}

/// Well below the number of ports that Linux assigns by default (32768 to 60999), because some are
/// still in use.
const CONNECTIONS_PER_ADDRESS: usize = 10_000;
