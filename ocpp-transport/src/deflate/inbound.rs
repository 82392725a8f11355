//! Inflates the compressed messages in the peer's stream of frames: bytes in, bytes out.
//!
//! tungstenite supports no extension and refuses frames with RSV1. [`Inbound`] runs below it and
//! replaces each compressed message by an uncompressed one, in frames of at most [`FRAME_BYTES`].
//! Longer frames of other messages are divided, too: tungstenite keeps a buffer as long as the
//! longest frame that it has received, until the connection ends. All other frames pass unchanged,
//! also between the fragments of a message. tungstenite finds the errors in the frames themselves.

use crate::deflate::codec::TAIL;
use crate::deflate::{Agreed, Decompressor, Deflate, DeflateError};

/// Rewrites the stream of frames from a peer.
pub struct Inbound {
    /// `None`: no compression was agreed.
    decompressor: Option<Decompressor>,
    max_bytes: usize,
    state: State,
    /// The header that is being read.
    header: [u8; MAX_HEADER_BYTES],
    header_bytes: usize,
    /// A compressed message that has begun.
    message: Option<Box<Message>>,
    /// The output that is written before anything else: headers and inflated frames.
    out: Vec<u8>,
    out_at: usize,
    /// Whether the peer closes with 1014.
    is_bad_gateway: bool,
}

/// The progress of one call of [`Inbound::handle_bytes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read from the input.
    pub taken: usize,
    /// Bytes written to the output.
    pub given: usize,
}

#[derive(Clone, Copy)]
enum State {
    Header,
    /// The payload of a frame that passes unchanged.
    Through {
        left: u64,
    },
    /// The payload of a frame that is divided. `part` bytes remain of the current part.
    Divided {
        left: u64,
        part: usize,
        mask: [u8; 4],
        mask_at: usize,
        begin: Begin,
    },
    /// The payload of a frame of a compressed message.
    Compressed {
        left: u64,
        mask: [u8; 4],
        mask_at: usize,
        last: bool,
    },
    /// The first two bytes of a Close frame, which are its code.
    CloseCode {
        left: u64,
        mask: [u8; 4],
        first: Option<u8>,
    },
    /// The message has ended. Its tail is added.
    Tail {
        at: usize,
    },
    /// The peer broke a rule. Nothing more is read.
    Failed(DeflateError),
}

/// How the next part of a divided frame begins.
#[derive(Clone, Copy)]
struct Begin {
    opcode: u8,
    masked: bool,
    /// The FIN bit of the last part.
    fin: u8,
}

struct Message {
    /// Text or binary for the first frame of the output, then continuation.
    opcode: u8,
    /// Whether the peer masks its frames. If so, the frames of the output are masked, too.
    masked: bool,
    compressed: usize,
    inflated: usize,
    /// Room for a header, and the inflated data that is not written yet.
    frame: Vec<u8>,
}

impl Inbound {
    /// For a connection and its agreed parameters. A message may have `max_bytes` when it is
    /// inflated. Its compressed form may be slightly longer, because compression can enlarge data.
    #[must_use]
    pub fn new(agreed: Option<(Deflate, Agreed)>, max_bytes: usize) -> Self {
        Self {
            decompressor: agreed.map(|(deflate, agreed)| Decompressor::new(deflate, agreed)),
            max_bytes,
            state: State::Header,
            header: [0; MAX_HEADER_BYTES],
            header_bytes: 0,
            message: None,
            out: Vec::new(),
            out_at: 0,
            is_bad_gateway: false,
        }
    }

    /// Whether the peer closes with 1014 (bad gateway). The output then contains 1013 (try again
    /// later) instead.
    #[must_use]
    pub fn is_bad_gateway(&self) -> bool {
        self.is_bad_gateway
    }

    /// Reads bytes of the peer and writes bytes for tungstenite, until all input is read and no
    /// output remains, or until the output is full.
    ///
    /// # Errors
    /// [`DeflateError`], after the output before the error has been written.
    pub fn handle_bytes(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, DeflateError> {
        let mut progress = Progress { taken: 0, given: 0 };
        loop {
            let room = &mut output[progress.given..];
            let waiting = &self.out[self.out_at..];
            if !waiting.is_empty() {
                let length = waiting.len().min(room.len());
                room[..length].copy_from_slice(&waiting[..length]);
                self.out_at += length;
                progress.given += length;
                if self.out_at < self.out.len() {
                    return Ok(progress);
                }
                self.out_at = 0;
                self.out.clear();
                if self.message.is_none() {
                    // An idle connection holds no buffer.
                    self.out = Vec::new();
                }
                continue;
            }
            let rest = &input[progress.taken..];
            let step = match self.state {
                State::Header => self.handle_header(rest),
                State::Through { left: 0 } => {
                    self.state = State::Header;
                    continue;
                }
                State::Through { left } => {
                    let length = rest.len().min(room.len()).min(usize::try_from(left).unwrap_or(usize::MAX));
                    room[..length].copy_from_slice(&rest[..length]);
                    self.state = State::Through { left: left - length as u64 };
                    progress.given += length;
                    Ok(Step { taken: length, waits: length == 0 })
                }
                State::Divided { left: 0, part: 0, .. } => {
                    self.state = State::Header;
                    continue;
                }
                State::Divided { left, part: 0, mask, mask_at, begin } => {
                    let part = usize::try_from(left).unwrap_or(FRAME_BYTES).min(FRAME_BYTES);
                    let left = left - part as u64;
                    let fin = if left == 0 { begin.fin } else { 0 };
                    push_header(&mut self.out, fin | begin.opcode, begin.masked, part);
                    let begin = Begin { opcode: CONTINUATION, ..begin };
                    self.state = State::Divided { left, part, mask, mask_at, begin };
                    continue;
                }
                State::Divided { left, part, mask, mask_at, begin } => {
                    let length = rest.len().min(room.len()).min(part);
                    unmask(&rest[..length], &mut room[..length], mask, mask_at);
                    let mask_at = (mask_at + length) % 4;
                    self.state = State::Divided { left, part: part - length, mask, mask_at, begin };
                    progress.given += length;
                    Ok(Step { taken: length, waits: length == 0 })
                }
                State::Compressed { left, mask, mask_at, last } => {
                    self.handle_compressed(rest, left, mask, mask_at, last)
                }
                State::CloseCode { left, mask, first } => Ok(self.handle_close_code(rest, left, mask, first)),
                State::Tail { at } => self.handle_tail(at),
                State::Failed(error) => Err(error),
            };
            match step {
                Ok(step) => {
                    progress.taken += step.taken;
                    if step.waits && self.out.is_empty() {
                        return Ok(progress);
                    }
                }
                Err(error) => {
                    self.state = State::Failed(error);
                    // The output so far is returned first. The next call returns the error.
                    return if progress.given > 0 { Ok(progress) } else { Err(error) };
                }
            }
        }
    }

    /// Whether output remains that needs no more input.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.out_at < self.out.len() || matches!(self.state, State::Tail { .. } | State::Failed(_))
    }

    fn handle_header(&mut self, input: &[u8]) -> Result<Step, DeflateError> {
        let Some(byte) = input.first() else { return Ok(Step::WAITS) };
        self.header[self.header_bytes] = *byte;
        self.header_bytes += 1;
        let header = &self.header[..self.header_bytes];
        let taken = Step { taken: 1, waits: false };
        let (Some(first), Some(second)) = (header.first(), header.get(1)) else { return Ok(taken) };
        let extended = match second & LENGTH {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let masked = second & MASKED != 0;
        let mask_bytes = if masked { 4 } else { 0 };
        if header.len() < 2 + extended + mask_bytes {
            return Ok(taken);
        }
        let left = match extended {
            0 => u64::from(second & LENGTH),
            _ => header[2..2 + extended].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        let mut mask = [0; 4];
        mask[..mask_bytes].copy_from_slice(&header[2 + extended..]);
        let (opcode, last) = (first & OPCODE, first & FIN != 0);
        let reserved = first & (RSV1 | RSV2 | RSV3);
        let begins = opcode == TEXT || opcode == BINARY;
        if begins && self.message.is_some() {
            return Err(DeflateError::Interrupted);
        }
        let begins_compressed = begins && reserved == RSV1 && self.decompressor.is_some();
        if begins_compressed {
            self.message =
                Some(Box::new(Message { opcode, masked, compressed: 0, inflated: 0, frame: Vec::new() }));
        }
        let of_message = begins_compressed || (opcode == CONTINUATION && reserved == 0);
        match &mut self.message {
            Some(message) if of_message => {
                message.compressed = usize::try_from(left)
                    .ok()
                    .and_then(|left| message.compressed.checked_add(left))
                    .filter(|compressed| *compressed <= self.max_bytes.saturating_add(OVERHEAD_BYTES))
                    .ok_or(DeflateError::TooLarge { max: self.max_bytes })?;
                // A client must mask, and a server must not. The first frame decides for the whole
                // message.
                message.masked = masked;
                self.state = State::Compressed { left, mask, mask_at: 0, last };
            }
            // A frame over the limit passes unchanged: tungstenite refuses it by its header.
            _ if left > FRAME_BYTES as u64
                && left <= self.max_bytes as u64
                && reserved == 0
                && (begins || opcode == CONTINUATION) =>
            {
                let begin = Begin { opcode, masked, fin: first & FIN };
                self.state = State::Divided { left, part: 0, mask, mask_at: 0, begin };
            }
            _ => {
                self.out.extend_from_slice(header);
                let has_code = opcode == CLOSE && (2..=MAX_CONTROL_BYTES).contains(&left);
                self.state = match has_code {
                    true => State::CloseCode { left, mask, first: None },
                    false => State::Through { left },
                };
            }
        }
        self.header_bytes = 0;
        Ok(taken)
    }

    /// 1014 is registered (IANA, WebSocket Close Code Number), but tungstenite treats it as
    /// reserved and answers with 1002.
    fn handle_close_code(&mut self, input: &[u8], left: u64, mask: [u8; 4], first: Option<u8>) -> Step {
        let Some(byte) = input.first().copied() else { return Step::WAITS };
        let Some(first) = first else {
            self.state = State::CloseCode { left, mask, first: Some(byte) };
            return Step { taken: 1, waits: false };
        };
        let mut code = [first, byte];
        if u16::from_be_bytes([first ^ mask[0], byte ^ mask[1]]) == BAD_GATEWAY {
            self.is_bad_gateway = true;
            let [high, low] = TRY_AGAIN_LATER.to_be_bytes();
            code = [high ^ mask[0], low ^ mask[1]];
        }
        self.out.extend_from_slice(&code);
        self.state = State::Through { left: left - 2 };
        Step { taken: 1, waits: false }
    }

    fn handle_compressed(
        &mut self,
        input: &[u8],
        left: u64,
        mask: [u8; 4],
        mask_at: usize,
        last: bool,
    ) -> Result<Step, DeflateError> {
        if left == 0 {
            self.state = if last { State::Tail { at: 0 } } else { State::Header };
            return Ok(Step { taken: 0, waits: false });
        }
        let mut unmasked = [0; STEP_BYTES];
        let length = input.len().min(STEP_BYTES).min(usize::try_from(left).unwrap_or(usize::MAX));
        if length == 0 {
            return Ok(Step::WAITS);
        }
        for (index, byte) in input[..length].iter().enumerate() {
            unmasked[index] = byte ^ mask[(mask_at + index) % 4];
        }
        let (taken, _) = self.inflate(&unmasked[..length])?;
        let mask_at = (mask_at + taken) % 4;
        self.state = State::Compressed { left: left - taken as u64, mask, mask_at, last };
        Ok(Step { taken, waits: false })
    }

    fn handle_tail(&mut self, at: usize) -> Result<Step, DeflateError> {
        let (taken, all_given) = self.inflate(&TAIL[at..])?;
        let at = at + taken;
        self.state = State::Tail { at };
        if at == TAIL.len() && all_given {
            if let Some(decompressor) = &mut self.decompressor {
                decompressor.finish();
            }
            if let Some(message) = self.message.take() {
                self.give_frame(*message, FIN);
            }
            self.state = State::Header;
        }
        Ok(Step { taken: 0, waits: false })
    }

    /// Inflates a piece of the message. Returns the number of bytes read, and whether the
    /// decompressor has no more output.
    fn inflate(&mut self, input: &[u8]) -> Result<(usize, bool), DeflateError> {
        // Both callers process a compressed message.
        let (Some(decompressor), Some(mut message)) = (&mut self.decompressor, self.message.take()) else {
            return Ok((input.len(), true));
        };
        if message.frame.is_empty() {
            message.frame.resize(HEADER_ROOM, 0);
        }
        let begin = message.frame.len();
        message.frame.resize(HEADER_ROOM + FRAME_BYTES, 0);
        let inflated = decompressor.inflate(input, &mut message.frame[begin..]);
        let (taken, given) = inflated?;
        message.frame.truncate(begin + given);
        message.inflated += given;
        if message.inflated > self.max_bytes {
            return Err(DeflateError::TooLarge { max: self.max_bytes });
        }
        let full = message.frame.len() == HEADER_ROOM + FRAME_BYTES;
        if full {
            let next = Message { opcode: CONTINUATION, frame: Vec::new(), ..*message };
            self.give_frame(*message, 0);
            message = Box::new(next);
        }
        self.message = Some(message);
        Ok((taken, !full))
    }

    fn give_frame(&mut self, mut message: Message, fin: u8) {
        if message.frame.is_empty() {
            message.frame.resize(HEADER_ROOM, 0);
        }
        let length = message.frame.len() - HEADER_ROOM;
        let mut header = Vec::with_capacity(HEADER_ROOM);
        push_header(&mut header, fin | message.opcode, message.masked, length);
        let begin = HEADER_ROOM - header.len();
        message.frame[begin..HEADER_ROOM].copy_from_slice(&header);
        self.out = message.frame;
        self.out_at = begin;
    }
}

/// Removes the mask, one word at a time, because every byte of a long frame passes here. `at` is
/// the offset in the payload of the frame.
fn unmask(masked: &[u8], plain: &mut [u8], mask: [u8; 4], at: usize) {
    let mask: [u8; 4] = std::array::from_fn(|index| mask[(at + index) % 4]);
    let ((words, rest), (plain_words, plain_rest)) = (masked.as_chunks(), plain.as_chunks_mut());
    for (word, plain) in words.iter().zip(plain_words) {
        *plain = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
    }
    for ((byte, plain), mask) in rest.iter().zip(plain_rest).zip(mask) {
        *plain = byte ^ mask;
    }
}

/// The header of a frame of at most [`FRAME_BYTES`].
fn push_header(header: &mut Vec<u8>, first: u8, masked: bool, length: usize) {
    header.push(first);
    let mask = if masked { MASKED } else { 0 };
    match u8::try_from(length) {
        Ok(short) if short <= 125 => header.push(mask | short),
        _ => {
            header.push(mask | 126);
            header.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    if masked {
        // A mask of zeros changes nothing.
        header.extend_from_slice(&[0; 4]);
    }
}

/// The result of one step.
struct Step {
    taken: usize,
    /// It needs more input or more room.
    waits: bool,
}

impl Step {
    const WAITS: Self = Self { taken: 0, waits: true };
}

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2: u8 = 0x20;
const RSV3: u8 = 0x10;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;

/// The longest payload of a control frame (RFC 6455, 5.5).
const MAX_CONTROL_BYTES: u64 = 125;

/// The close code of a gateway that has lost its server.
pub(crate) const BAD_GATEWAY: u16 = 1014;

/// The close code with the same meaning for the peer, which tungstenite supports.
const TRY_AGAIN_LATER: u16 = 1013;

/// Two bytes, eight of length, four of mask.
const MAX_HEADER_BYTES: usize = 14;

/// Room for the header of a frame of at most [`FRAME_BYTES`].
const HEADER_ROOM: usize = 8;

/// The longest payload of an output frame, in bytes. With its header it fits into a buffer of 2
/// KiB.
const FRAME_BYTES: usize = 2000;

/// The number of bytes that are unmasked and inflated at once, on the stack.
const STEP_BYTES: usize = 512;

/// The number of bytes by which a compressed message may exceed the longest inflated one: data that
/// cannot be compressed grows by five bytes for each block of 16 KiB or more.
const OVERHEAD_BYTES: usize = 1024;
