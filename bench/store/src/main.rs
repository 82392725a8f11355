//! `bench-store FOLDER ROUNDS` measures on the disk of FOLDER, and prints a line `what contestant
//! nanoseconds` per round. `bench-store memory STORE` opens a store and prints its memory in
//! octets.

mod directory;
mod ours;
mod pki;

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::directory::PemDirectory;
use crate::pki::Pki;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["memory", store] => memory(Path::new(store)),
        [folder, rounds] => measure(Path::new(folder), rounds.parse().context("ROUNDS is no number")?),
        _ => bail!("usage: bench-store FOLDER ROUNDS | bench-store memory STORE"),
    }
}

/// The contestants take turns, so that all have the same noise.
fn measure(folder: &Path, rounds: usize) -> Result<()> {
    let pki = Pki::new()?;
    let place = tempfile::tempdir_in(folder)?;
    let path = place.path().join("store.redb");
    let store = ours::filled(&path, &pki)?;
    let directory = PemDirectory::filled(&place.path().join("pem"), &pki)?;
    let mut bare = bare_file(&place.path().join("bare"))?;
    // The first change after opening marks the file as open. It is not the cost of a usual change.
    ours::install(&store, &pki)?;
    ours::delete(&store, &pki)?;

    for _ in 0..rounds {
        print("write-fsync", "bare", time(|| write_bare(&mut bare))?);
        print("install", "ours", time(|| ours::install(&store, &pki))?);
        print("delete", "ours", time(|| ours::delete(&store, &pki))?);
        print("install", "pem-directory", time(|| directory.install(&pki))?);
        print("delete", "pem-directory", time(|| directory.delete(&pki))?);
        print("list-30-chains", "ours", time(|| ours::list(&store))?);
        print("list-30-chains", "pem-directory", time(|| directory.list())?);
    }
    drop(store);
    for _ in 0..rounds {
        let mut opened = None;
        print("open", "ours", time(|| Ok(opened = Some(ours::open(&path)?)))?);
    }
    // For the memory of a process that did nothing else.
    let full = folder.join("store-200.redb");
    let _ = std::fs::remove_file(&full);
    drop(ours::with_200_certificates(&full, &pki)?);
    Ok(())
}

fn time<T>(work: impl FnOnce() -> Result<T>) -> Result<Duration> {
    let start = Instant::now();
    black_box(work()?);
    Ok(start.elapsed())
}

fn print(what: &str, contestant: &str, time: Duration) {
    println!("{what} {contestant} {}", time.as_nanos());
}

/// A file that already has its length, like the store's file. The measurement is then of data, not
/// of metadata.
fn bare_file(path: &Path) -> Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(&[0; 65_536])?;
    file.sync_all()?;
    Ok(file)
}

/// The smallest durable change: a page and the sync.
fn write_bare(file: &mut File) -> Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&[0x55; 4096])?;
    file.sync_data()?;
    Ok(())
}

fn memory(store: &Path) -> Result<()> {
    let before = resident()?;
    let store = ours::open(store)?;
    black_box(ours::list(&store)?);
    println!("{}", resident()?.saturating_sub(before));
    Ok(())
}

/// Resident memory of this process without file backing, in octets.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("this needs Linux")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().context("no number")?;
    Ok(kib * 1024)
}
