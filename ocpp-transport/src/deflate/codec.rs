//! Compresses and inflates messages with zlib (RFC 7692, section 7.2).

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use crate::deflate::{Agreed, ContextTakeover, Deflate, DeflateError, WindowBits};

/// The last bytes of each message. The sender removes them and the receiver adds them again (RFC
/// 7692, section 7.2.1).
pub(super) const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// Compresses the messages of one connection.
pub struct Compressor {
    deflate: Deflate,
    takeover: ContextTakeover,
    /// `None` if zlib has no window as small as the peer requires. Nothing is compressed then,
    /// which is permitted.
    bits: Option<WindowBits>,
    /// Exists only with context takeover, and only after a message has been compressed.
    context: Option<Box<Compress>>,
}

impl Compressor {
    /// For a connection with the parameters `agreed`.
    #[must_use]
    pub fn new(deflate: Deflate, agreed: Agreed) -> Self {
        Self {
            deflate,
            takeover: agreed.own_takeover,
            bits: WindowBits::new(agreed.own_window_bits),
            context: None,
        }
    }

    /// The payload of a frame with RSV1 set, or `None` if the message should be sent uncompressed.
    pub fn compress(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let settings = self.deflate.settings();
        let bits = self.bits.filter(|_| message.len() >= settings.min_bytes)?;
        match self.takeover {
            ContextTakeover::Forbidden => {
                let pool = self.deflate.pool();
                let mut state = pool.compressor(bits, settings.level);
                let payload = compress(&mut state, message);
                pool.put_compressor(bits, settings.level, state);
                payload.filter(|payload| payload.len() < message.len())
            }
            ContextTakeover::Allowed => {
                let context = self
                    .context
                    .get_or_insert_with(|| Box::new(self.deflate.pool().compressor(bits, settings.level)));
                // It must be sent even if it has grown, because the next message may refer to it.
                let payload = compress(context, message);
                if payload.is_none() {
                    // zlib documents no input for which it fails. If it fails, no message may refer
                    // to data that the peer has not received.
                    self.context = None;
                    self.bits = None;
                }
                payload
            }
        }
    }
}

fn compress(state: &mut Compress, message: &[u8]) -> Option<Vec<u8>> {
    let mut payload = Vec::with_capacity(message.len() / 2 + 64);
    let before = state.total_in();
    loop {
        let consumed = usize::try_from(state.total_in() - before).ok()?;
        let rest = message.get(consumed..)?;
        state.compress_vec(rest, &mut payload, FlushCompress::Sync).ok()?;
        let all_in = state.total_in() - before == message.len() as u64;
        // Unused capacity shows that the flush is complete (zlib.h, deflate).
        if all_in && payload.len() < payload.capacity() {
            break;
        }
        payload.reserve(message.len() / 2 + 64);
    }
    if payload.ends_with(&TAIL) {
        payload.truncate(payload.len() - TAIL.len());
    }
    if payload.is_empty() {
        // An empty message (RFC 7692, section 7.2.3.6). zlib writes nothing for a second flush.
        payload.push(0x00);
    }
    Some(payload)
}

/// Inflates the messages of one connection, piece by piece.
pub struct Decompressor {
    deflate: Deflate,
    takeover: ContextTakeover,
    bits: WindowBits,
    state: Option<Box<Decompress>>,
}

impl Decompressor {
    /// For a connection with the parameters `agreed`.
    #[must_use]
    pub fn new(deflate: Deflate, agreed: Agreed) -> Self {
        // zlib has no window of 256 bytes. A larger window inflates the same data.
        let bits = WindowBits::new(agreed.peer_window_bits).unwrap_or(WindowBits::MIN);
        Self { deflate, takeover: agreed.peer_takeover, bits, state: None }
    }

    /// Inflates from `input` to `output`, and returns the number of bytes read and written. It
    /// stops when all input is read or the output is full.
    ///
    /// # Errors
    /// [`DeflateError::Corrupt`]; the decompressor must not be used after it.
    pub fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Result<(usize, usize), DeflateError> {
        let state = self.state.get_or_insert_with(|| Box::new(self.deflate.pool().decompressor(self.bits)));
        let (mut taken, mut given) = (0, 0);
        loop {
            let (before_in, before_out) = (state.total_in(), state.total_out());
            let status = state
                .decompress(&input[taken..], &mut output[given..], FlushDecompress::Sync)
                .map_err(|_| DeflateError::Corrupt)?;
            let count =
                |total: u64, before: u64| usize::try_from(total - before).map_err(|_| DeflateError::Corrupt);
            let step = (count(state.total_in(), before_in)?, count(state.total_out(), before_out)?);
            taken += step.0;
            given += step.1;
            if status == Status::StreamEnd {
                // A block with BFINAL is permitted (RFC 7692, section 7.2.3.4). A new stream
                // follows it.
                state.reset(false);
            } else if step == (0, 0) && taken < input.len() && given < output.len() {
                return Err(DeflateError::Corrupt);
            }
            if taken == input.len() || given == output.len() {
                return Ok((taken, given));
            }
        }
    }

    /// To be called when the message has ended and its tail has been inflated.
    pub fn finish(&mut self) {
        if self.takeover == ContextTakeover::Forbidden
            && let Some(state) = self.state.take()
        {
            self.deflate.pool().put_decompressor(self.bits, *state);
        }
    }
}
