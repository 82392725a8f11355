//! A disk in memory that can be stopped after any write or sync, and that shows what it would still
//! contain.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use station_store::StorageBackend;

/// The disk of one process. Clones are the same disk.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The content as the process reads it.
    seen: Vec<u8>,
    /// The content at the last sync.
    durable: Vec<u8>,
    /// The steps after the last sync, in order.
    unsynced: Vec<Step>,
    /// Writes, changes of length and syncs so far.
    steps: usize,
    fault: Option<Fault>,
    failed: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Write { offset: usize, data: Vec<u8> },
    Length(usize),
}

/// A fault at a step. Steps count from the moment at which the fault was set.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The power fails during this step.
    PowerAt(usize),
    /// From this step on, every write and sync fails with this error; reads still succeed.
    ErrorFrom(usize, io::ErrorKind),
}

impl Disk {
    pub(crate) fn new(content: &[u8]) -> Self {
        let (seen, durable) = (content.to_vec(), content.to_vec());
        Self(Arc::new(Mutex::new(State { seen, durable, ..State::default() })))
    }

    /// Ends the fault.
    pub(crate) fn repair(&self) {
        let mut state = self.state();
        state.fault = None;
        state.failed = false;
    }

    pub(crate) fn arm(&self, fault: Fault) {
        let mut state = self.state();
        state.steps = 0;
        state.fault = Some(fault);
    }

    /// Starts counting the steps at zero.
    pub(crate) fn count(&self) {
        self.state().steps = 0;
    }

    pub(crate) fn steps(&self) -> usize {
        self.state().steps
    }

    /// Whether the fault has happened.
    pub(crate) fn has_failed(&self) -> bool {
        self.state().failed
    }

    /// The content as the running process reads it, and as the next one will if the power stays on.
    pub(crate) fn seen(&self) -> Vec<u8> {
        self.state().seen.clone()
    }

    /// The possible contents after a loss of power. Of the writes since the last sync, the disk may
    /// have kept any, in any order, and the last one in part.
    pub(crate) fn after_power_loss(&self, seed: u64) -> Vec<Vec<u8>> {
        let state = self.state();
        let count = state.unsynced.len();
        let all = vec![Kept::Whole; count];
        let mut patterns = vec![vec![Kept::Lost; count], all.clone()];
        if let Some(last) = count.checked_sub(1) {
            let except = |mut pattern: Vec<Kept>, at: usize, kept| {
                pattern[at] = kept;
                pattern
            };
            let none = vec![Kept::Lost; count];
            patterns.extend([
                except(all.clone(), last, Kept::Lost),
                except(all.clone(), last, Kept::Half),
                except(all.clone(), 0, Kept::Lost),
                except(all.clone(), 0, Kept::Half),
                except(none.clone(), last, Kept::Whole),
                except(none, last, Kept::Half),
                (0..count).map(|at| if at % 2 == 0 { Kept::Whole } else { Kept::Lost }).collect(),
                (0..count).map(|at| if at % 2 == 1 { Kept::Whole } else { Kept::Lost }).collect(),
            ]);
            let mut random = Random(seed);
            for _ in 0..3 {
                let draw = |_| [Kept::Lost, Kept::Whole, Kept::Whole, Kept::Half][random.below(4)];
                patterns.push((0..count).map(draw).collect());
            }
        }
        patterns.dedup();
        patterns.iter().map(|pattern| state.image(pattern)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds the disk")
    }

    fn step(&self, step: Option<Step>) -> io::Result<()> {
        let mut state = self.state();
        state.steps += 1;
        match state.fault {
            Some(Fault::PowerAt(at)) if state.steps >= at => {
                // The step at which the power failed may be kept, in part or whole.
                if !state.failed {
                    state.unsynced.extend(step);
                }
                state.failed = true;
                return Err(io::Error::other("the power is gone"));
            }
            Some(Fault::ErrorFrom(at, kind)) if state.steps >= at => {
                state.failed = true;
                if step.is_none() {
                    // As on Linux: data that could not be written back counts as written
                    // afterwards.
                    state.unsynced.clear();
                }
                return Err(kind.into());
            }
            _ => {}
        }
        match step {
            Some(step) => {
                apply(&mut state.seen, &step, Kept::Whole);
                state.unsynced.push(step);
            }
            None => {
                for step in std::mem::take(&mut state.unsynced) {
                    apply(&mut state.durable, &step, Kept::Whole);
                }
            }
        }
        Ok(())
    }
}

impl State {
    fn image(&self, pattern: &[Kept]) -> Vec<u8> {
        let mut image = self.durable.clone();
        for (step, kept) in self.unsynced.iter().zip(pattern) {
            apply(&mut image, step, *kept);
        }
        image
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        let state = self.state();
        state.alive()?;
        Ok(state.seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        state.alive()?;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = state.seen.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.step(Some(Step::Length(usize::try_from(len).map_err(io::Error::other)?)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.step(None)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        self.step(Some(Step::Write { offset, data: data.to_vec() }))
    }
}

impl State {
    fn alive(&self) -> io::Result<()> {
        let dead = self.failed && matches!(self.fault, Some(Fault::PowerAt(_)));
        if dead { Err(io::Error::other("the power is gone")) } else { Ok(()) }
    }
}

/// The part of a write that a disk keeps when it loses its power.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Lost,
    Whole,
    Half,
}

fn apply(image: &mut Vec<u8>, step: &Step, kept: Kept) {
    match (step, kept) {
        (_, Kept::Lost) | (Step::Length(_), Kept::Half) => {}
        (Step::Length(length), Kept::Whole) => image.resize(*length, 0),
        (Step::Write { offset, data }, _) => {
            let data = if kept == Kept::Half { &data[..data.len() / 2] } else { data };
            if image.len() < offset + data.len() {
                image.resize(offset + data.len(), 0);
            }
            image[*offset..offset + data.len()].copy_from_slice(data);
        }
    }
}

/// xorshift: the same numbers each time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).expect("below a usize")
    }
}
