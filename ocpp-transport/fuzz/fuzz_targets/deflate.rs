//! Any bytes as the frames of a peer with which permessage-deflate was agreed.
//!
//! The code must not panic. The output is bounded. Frames without compression pass unchanged. A
//! compressed message is inflated as by another DEFLATE, miniz_oxide. The tests with real peers
//! check that valid messages are not refused: miniz_oxide accepts some that are invalid, such as
//! those whose codes have no end of a block.

#![no_main]

use libfuzzer_sys::fuzz_target;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use ocpp_transport::deflate::{ContextTakeover, Deflate, DeflateError, DeflateSettings, Inbound};

const MAX: usize = 5000;

fuzz_target!(|bytes: &[u8]| {
    let [how, piece, room, frames @ ..] = bytes else { return };
    let takeover = if how & 1 == 0 { ContextTakeover::Forbidden } else { ContextTakeover::Allowed };
    // Windows of 32 KiB, or a size that miniz_oxide does not have.
    let bits = if how & 2 == 0 { 15 } else { 8 + (how >> 2) % 8 };
    let deflate = Deflate::new(DeflateSettings::default().with_peer_takeover(takeover));
    let forbidden = match takeover {
        ContextTakeover::Forbidden => "; client_no_context_takeover",
        ContextTakeover::Allowed => "",
    };
    let offer = format!("permessage-deflate; client_max_window_bits={bits}{forbidden}");
    let (agreed, _) = deflate.answer([offer.as_bytes()]).expect("is well formed").expect("is granted");
    assert_eq!((agreed.peer_takeover, agreed.peer_window_bits), (takeover, bits));

    let mut inbound = Inbound::new(Some((deflate, agreed)), MAX);
    let (rewritten, failed) =
        rewrite(&mut inbound, frames, usize::from(*piece) + 1, 16 * usize::from(*room) + 1);
    let expected = Expected::of(frames, takeover);
    let all = messages(&rewritten);
    let same = all.len().min(expected.messages.len());
    assert_eq!(all[..same], expected.messages[..same]);
    match (failed, expected.failed) {
        (None, None) => assert_eq!(all.len(), expected.messages.len()),
        // zlib reads a table only as far as it needs it, and a message may end before that.
        // miniz_oxide refuses the table at once.
        (None, Some(Failure::Corrupt)) => assert!(all.len() >= expected.messages.len()),
        (Some(_), Some(Failure::Corrupt)) => {}
        (Some(DeflateError::Interrupted), Some(Failure::Interrupted)) => {
            assert_eq!(all.len(), expected.messages.len());
        }
        (Some(DeflateError::TooLarge { .. }), Some(Failure::TooLarge)) => {}
        (Some(DeflateError::Corrupt), None) => {}
        // A message that is cut off or too large may already be known to be invalid. A smaller
        // window detects references beyond it.
        (Some(_), found) => assert!(found.is_some() || expected.unfinished || bits < 15, "{failed:?}"),
        (None, Some(missed)) => panic!("{missed:?} is missed"),
    }
});

fn rewrite(
    inbound: &mut Inbound,
    mut input: &[u8],
    piece: usize,
    room: usize,
) -> (Vec<u8>, Option<DeflateError>) {
    let mut rewritten = Vec::new();
    let mut output = vec![0; room];
    loop {
        let progress = match inbound.handle_bytes(&input[..input.len().min(piece)], &mut output) {
            Ok(progress) => progress,
            Err(error) => {
                assert_eq!(inbound.handle_bytes(input, &mut output), Err(error), "it stays so");
                return (rewritten, Some(error));
            }
        };
        rewritten.extend_from_slice(&output[..progress.given]);
        input = &input[progress.taken..];
        if input.is_empty() && progress.given < room && !inbound.is_waiting() {
            return (rewritten, None);
        }
        assert!(progress.taken + progress.given > 0, "it goes on");
    }
}

/// A frame in a stream.
struct Frame<'a> {
    raw: &'a [u8],
    first: u8,
    /// Unmasked.
    payload: Vec<u8>,
    /// The length in its header.
    length: u64,
    whole: bool,
}

fn frames(mut bytes: &[u8]) -> Vec<Frame<'_>> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let masked = if second & 0x80 == 0 { 0 } else { 4 };
        let Some((length, rest)) = rest.split_at_checked(extended) else { break };
        let Some((mask, rest)) = rest.split_at_checked(masked) else { break };
        let length = match extended {
            0 => u64::from(second & 0x7f),
            _ => length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        let here = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
        let unmask = |(at, byte): (usize, &u8)| byte ^ mask.get(at % 4).unwrap_or(&0);
        let payload: Vec<u8> = rest[..here].iter().enumerate().map(unmask).collect();
        let header = 2 + extended + masked;
        let whole = here as u64 == length;
        frames.push(Frame { raw: &bytes[..header + here], first: *first, payload, length, whole });
        bytes = &rest[here..];
    }
    frames
}

/// The output of a reader of frames: complete messages, and other frames unchanged.
#[derive(Debug, PartialEq)]
enum Seen {
    Message { opcode: u8, data: Vec<u8> },
    Other(Vec<u8>),
}

/// The messages of a stream without compression. Fragments of unfinished messages and frames that
/// are cut off are left out.
fn messages(rewritten: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut open = None;
    for frame in frames(rewritten) {
        see(&mut seen, &mut open, &frame);
    }
    seen
}

fn see(seen: &mut Vec<Seen>, open: &mut Option<(u8, Vec<u8>)>, frame: &Frame<'_>) {
    if !frame.whole {
        return;
    }
    let (opcode, reserved, fin) = (frame.first & 0x0f, frame.first & 0x70, frame.first & 0x80 != 0);
    match opcode {
        1 | 2 if reserved == 0 => *open = Some((opcode, frame.payload.clone())),
        // A continuation of nothing may be divided into several frames. The reader refuses the
        // first.
        0 if reserved == 0 => {
            if let Some((_, data)) = open {
                data.extend_from_slice(&frame.payload);
            }
        }
        _ => return seen.push(Seen::Other(frame.raw.to_vec())),
    }
    if fin && let Some((opcode, data)) = open.take() {
        seen.push(Seen::Message { opcode, data });
    }
}

/// The expected output, from an independent reader.
#[derive(Default)]
struct Expected {
    messages: Vec<Seen>,
    failed: Option<Failure>,
    /// The last message is not complete.
    unfinished: bool,
}

#[derive(Debug, Clone, Copy)]
enum Failure {
    Corrupt,
    TooLarge,
    Interrupted,
}

impl Expected {
    fn of(bytes: &[u8], takeover: ContextTakeover) -> Self {
        let mut expected = Self::default();
        let mut judge = Judge::new();
        let mut open = None;
        let mut compressed: Option<(u8, Vec<u8>, u64)> = None;
        for frame in frames(bytes) {
            let (opcode, reserved) = (frame.first & 0x0f, frame.first & 0x70);
            let begins = opcode == 1 || opcode == 2;
            if begins && compressed.is_some() {
                expected.failed = Some(Failure::Interrupted);
                return expected;
            }
            if begins && reserved == 0x40 {
                compressed = Some((opcode, Vec::new(), 0));
            }
            let part = begins && reserved == 0x40 || opcode == 0 && reserved == 0;
            let Some((opcode, payload, declared)) = compressed.as_mut().filter(|_| part) else {
                see(&mut expected.messages, &mut open, &frame);
                continue;
            };
            *declared = declared.saturating_add(frame.length);
            if *declared > MAX as u64 + 1024 {
                expected.failed = Some(Failure::TooLarge);
                return expected;
            }
            payload.extend_from_slice(&frame.payload);
            if !frame.whole || frame.first & 0x80 == 0 {
                continue;
            }
            payload.extend_from_slice(&[0x00, 0x00, 0xff, 0xff]);
            if takeover == ContextTakeover::Forbidden {
                judge = Judge::new();
            }
            match judge.inflate(payload) {
                Ok(data) => {
                    // An open uncompressed message is replaced, which tungstenite refuses later.
                    open = None;
                    expected.messages.push(Seen::Message { opcode: *opcode, data });
                }
                Err(failure) => {
                    expected.failed = Some(failure);
                    return expected;
                }
            }
            compressed = None;
        }
        expected.unfinished = compressed.is_some();
        expected
    }
}

/// Another DEFLATE, whose window is all data inflated so far.
struct Judge {
    state: Box<DecompressorOxide>,
    history: Vec<u8>,
}

impl Judge {
    fn new() -> Self {
        Self { state: Box::default(), history: Vec::new() }
    }

    fn inflate(&mut self, mut input: &[u8]) -> Result<Vec<u8>, Failure> {
        let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
            | inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
        let mut data = Vec::new();
        loop {
            let begin = self.history.len();
            self.history.resize(begin + MAX + 1, 0);
            let (status, taken, given) = decompress(&mut self.state, input, &mut self.history, begin, flags);
            self.history.truncate(begin + given);
            data.extend_from_slice(&self.history[begin..]);
            input = &input[taken..];
            if data.len() > MAX {
                return Err(Failure::TooLarge);
            }
            match status {
                TINFLStatus::NeedsMoreInput => return Ok(data),
                // A block with BFINAL. A new stream follows it.
                TINFLStatus::Done => *self = Self::new(),
                _ => return Err(Failure::Corrupt),
            }
            if input.is_empty() {
                return Ok(data);
            }
        }
    }
}
