//! The zlib states that connections share.

use std::sync::{Mutex, PoisonError};

use flate2::{Compress, Compression, Decompress};

use crate::deflate::settings::WindowBits;

/// States that wait for the next message, a few of each window size in use.
#[derive(Default)]
pub(super) struct Pool {
    compressors: Mutex<Vec<(Key, Compress)>>,
    decompressors: Mutex<Vec<(WindowBits, Decompress)>>,
}

type Key = (WindowBits, u32);

impl Pool {
    /// A compressor without context.
    pub(super) fn compressor(&self, bits: WindowBits, level: u32) -> Compress {
        take(&self.compressors, (bits, level))
            .unwrap_or_else(|| Compress::new_with_window_bits(Compression::new(level), false, bits.get()))
    }

    pub(super) fn put_compressor(&self, bits: WindowBits, level: u32, mut compressor: Compress) {
        compressor.reset();
        put(&self.compressors, (bits, level), compressor, MAX_COMPRESSORS);
    }

    /// A decompressor without context.
    pub(super) fn decompressor(&self, bits: WindowBits) -> Decompress {
        take(&self.decompressors, bits).unwrap_or_else(|| Decompress::new_with_window_bits(false, bits.get()))
    }

    pub(super) fn put_decompressor(&self, bits: WindowBits, mut decompressor: Decompress) {
        decompressor.reset(false);
        put(&self.decompressors, bits, decompressor, MAX_DECOMPRESSORS);
    }
}

fn take<K: PartialEq, T>(pool: &Mutex<Vec<(K, T)>>, key: K) -> Option<T> {
    let mut pool = pool.lock().unwrap_or_else(PoisonError::into_inner);
    let place = pool.iter().rposition(|(of, _)| *of == key)?;
    Some(pool.swap_remove(place).1)
}

fn put<K, T>(pool: &Mutex<Vec<(K, T)>>, key: K, state: T, max: usize) {
    let mut pool = pool.lock().unwrap_or_else(PoisonError::into_inner);
    if pool.len() < max {
        pool.push((key, state));
    }
}

/// A compressor is in use only during a function call, so at most one per thread is in use. 0.3 MiB
/// each.
const MAX_COMPRESSORS: usize = 16;

/// A decompressor is in use from the first to the last byte of a message. 48 KiB each.
const MAX_DECOMPRESSORS: usize = 64;
