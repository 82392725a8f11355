//! Frames through [`Inbound`] into tungstenite, the examples of RFC 7692, and round trips of random
//! messages.

use std::io::{self, Cursor, Read, Write};

use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::deflate::{
    Agreed, Compressor, ContextTakeover, Deflate, DeflateError, DeflateSettings, Inbound, WindowBits,
};

const MAX: usize = 64 * 1024;

const AGREED: Agreed = Agreed {
    own_takeover: ContextTakeover::Allowed,
    peer_takeover: ContextTakeover::Allowed,
    own_window_bits: 15,
    peer_window_bits: 15,
};

/// The output for `input`, where input and output pass in pieces of these sizes.
fn rewrite(
    inbound: &mut Inbound,
    mut input: &[u8],
    piece: usize,
    room: usize,
) -> Result<Vec<u8>, DeflateError> {
    let mut frames = Vec::new();
    let mut output = vec![0; room];
    loop {
        let progress = inbound.handle_bytes(&input[..input.len().min(piece)], &mut output)?;
        frames.extend_from_slice(&output[..progress.given]);
        input = &input[progress.taken..];
        if input.is_empty() && progress.given < room && !inbound.is_waiting() {
            return Ok(frames);
        }
        assert!(progress.taken + progress.given > 0, "it goes on");
    }
}

/// Reads frames of a server with tungstenite.
fn read(frames: Vec<u8>) -> Vec<Message> {
    let mut socket = WebSocket::from_raw_socket(OneWay(Cursor::new(frames)), Role::Client, None);
    let mut messages = Vec::new();
    loop {
        match socket.read() {
            Ok(message) => messages.push(message),
            Err(tungstenite::Error::Protocol(_)) => return messages,
            Err(error) => panic!("{error}"),
        }
    }
}

struct OneWay(Cursor<Vec<u8>>);

impl Read for OneWay {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for OneWay {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn inbound() -> Inbound {
    Inbound::new(Some((Deflate::default(), AGREED)), MAX)
}

#[track_caller]
fn check(frames: &[&[u8]], expected: &[&str]) {
    let input = frames.concat();
    for (piece, room) in [(usize::MAX, 4096), (1, 4096), (usize::MAX, 1), (1, 1)] {
        let messages = read(rewrite(&mut inbound(), &input, piece, room).expect("is well formed"));
        let texts: Vec<_> = messages.iter().map(|message| message.to_text().expect("text")).collect();
        assert_eq!(texts, expected, "{frames:x?} in pieces of {piece} and {room}");
    }
}

#[test]
fn rfc_7692_7_2_3_1_a_message_compressed_using_one_compressed_deflate_block() {
    check(&[&[0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]], &["Hello"]);
    check(&[&[0x41, 0x03, 0xf2, 0x48, 0xcd], &[0x80, 0x04, 0xc9, 0xc9, 0x07, 0x00]], &["Hello"]);
}

#[test]
fn rfc_7692_7_2_3_2_sharing_lz77_sliding_window() {
    let first: &[u8] = &[0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let second: &[u8] = &[0xc1, 0x05, 0xf2, 0x00, 0x11, 0x00, 0x00];
    check(&[first, second], &["Hello", "Hello"]);

    // Without context takeover the second message refers to unknown data.
    let agreed = Agreed { peer_takeover: ContextTakeover::Forbidden, ..AGREED };
    let mut alone = Inbound::new(Some((Deflate::default(), agreed)), MAX);
    let messages = read(rewrite(&mut alone, &[first, first].concat(), usize::MAX, 4096).unwrap());
    assert_eq!(messages.len(), 2);
    let refused = rewrite(&mut alone, second, usize::MAX, 4096);
    assert_eq!(refused, Err(DeflateError::Corrupt));
}

#[test]
fn rfc_7692_7_2_3_3_using_a_deflate_block_with_no_compression() {
    check(&[&[0xc1, 0x0b, 0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00]], &["Hello"]);
}

#[test]
fn rfc_7692_7_2_3_4_using_a_deflate_block_with_bfinal_set_to_1() {
    let frame: &[u8] = &[0xc1, 0x08, 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    check(&[frame, frame], &["Hello", "Hello"]);
}

#[test]
fn rfc_7692_7_2_3_5_two_deflate_blocks_in_one_message() {
    let frame: &[u8] =
        &[0xc1, 0x0d, 0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
    check(&[frame], &["Hello"]);
}

#[test]
fn rfc_7692_7_2_3_6_generating_an_empty_fragment() {
    check(&[&[0xc1, 0x01, 0x00]], &[""]);
    check(&[&[0x41, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], &[0x80, 0x00]], &["Hello"]);
    let always = DeflateSettings::default().with_min_bytes(0);
    let mut compressor = Compressor::new(Deflate::new(always), AGREED);
    assert_eq!(compressor.compress(b"").as_deref(), Some(&[0x00][..]));
    assert_eq!(compressor.compress(b"").as_deref(), Some(&[0x00][..]));
}

#[test]
fn control_frames_and_plain_messages_go_through_unchanged() {
    let pong: &[u8] = &[0x8a, 0x02, b'h', b'i'];
    let plain: &[u8] = &[0x81, 0x02, b'o', b'k'];
    let first: &[u8] = &[0x41, 0x03, 0xf2, 0x48, 0xcd];
    let second: &[u8] = &[0x80, 0x04, 0xc9, 0xc9, 0x07, 0x00];
    check(&[plain, first, pong, second, plain], &["ok", "hi", "Hello", "ok"]);
    let fragments: &[u8] = &[0x01, 0x01, b'o', 0x80, 0x01, b'k'];
    check(&[fragments, first, second], &["ok", "Hello"]);
}

#[test]
fn long_frames_are_divided_and_need_no_buffer() {
    let texts: Vec<String> = [125, 126, 1000, 2000, 2002, 65_000].map(|length| "é".repeat(length / 2)).into();
    for mask in [None, Some([1, 2, 3, 4])] {
        let mut input = Vec::new();
        for text in &texts {
            input.extend_from_slice(&[0x81, 0x7f | mask.map_or(0, |_| 0x80)]);
            input.extend_from_slice(&(text.len() as u64).to_be_bytes());
            input.extend_from_slice(&mask.unwrap_or_default()[..mask.map_or(0, |_| 4)]);
            let mask = mask.unwrap_or_default();
            input.extend(text.bytes().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        }
        for (piece, room) in [(usize::MAX, 4096), (7, 4096), (usize::MAX, 3)] {
            let mut plain = Inbound::new(None, MAX);
            let frames = rewrite(&mut plain, &input, piece, room).unwrap();
            let role = if mask.is_some() { Role::Server } else { Role::Client };
            let config = WebSocketConfig::default().max_frame_size(Some(2000));
            let stream = OneWay(Cursor::new(frames));
            let mut socket = WebSocket::from_raw_socket(stream, role, Some(config));
            for text in &texts {
                assert_eq!(socket.read().unwrap(), Message::text(text.as_str()));
            }
        }
    }
}

#[test]
fn without_an_agreement_compressed_frames_are_left_for_tungstenite() {
    let frame = &[0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(rewrite(&mut Inbound::new(None, MAX), frame, 3, 64).unwrap(), frame);
}

#[test]
fn what_is_wrong_with_the_frames_is_left_for_tungstenite() {
    for frames in [
        // RSV1 on a control frame and on a continuation; RSV2; a reserved opcode.
        &[0xca, 0x01, b'x'][..],
        &[0x41, 0x00, 0xc0, 0x00],
        &[0xe1, 0x00],
        &[0xc3, 0x00],
    ] {
        let rewritten = rewrite(&mut inbound(), frames, usize::MAX, 64).expect("is no business of DEFLATE");
        assert_eq!(read(rewritten), [], "{frames:x?}");
    }
}

#[test]
fn a_message_in_the_middle_of_another_is_refused_with_1002() {
    let refused = rewrite(&mut inbound(), &[0x41, 0x03, 0xf2, 0x48, 0xcd, 0x81, 0x00], usize::MAX, 64);
    assert_eq!(refused, Err(DeflateError::Interrupted));
    assert_eq!(DeflateError::Interrupted.close_code(), 1002);
}

#[test]
fn what_is_no_deflate_is_refused_with_1007() {
    let refused = rewrite(&mut inbound(), &[0xc1, 0x02, 0xff, 0xff], usize::MAX, 64);
    assert_eq!(refused, Err(DeflateError::Corrupt));
    assert_eq!(DeflateError::Corrupt.close_code(), 1007);
}

/// A compressed frame of a server.
fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xc1, 0x7f];
    frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

#[test]
fn a_bomb_is_refused_with_1009_before_it_is_inflated() {
    let mut compressor = Compressor::new(Deflate::default(), AGREED);
    let bomb = frame(&compressor.compress(&vec![b'x'; 100 * MAX]).expect("shrinks"));
    assert!(bomb.len() < MAX);
    let mut inbound = inbound();
    let mut input = bomb.as_slice();
    let mut output = [0; 4096];
    let mut given = 0;
    let error = loop {
        match inbound.handle_bytes(input, &mut output) {
            Ok(progress) => {
                input = &input[progress.taken..];
                given += progress.given;
            }
            Err(error) => break error,
        }
    };
    assert_eq!(error, DeflateError::TooLarge { max: MAX });
    assert_eq!(error.close_code(), 1009);
    assert!(given <= MAX + 4096, "{given}");
    // A length beyond all memory is refused by its header.
    let huge = [0xc1, 0x7f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let refused = rewrite(&mut self::inbound(), &huge, usize::MAX, 64);
    assert_eq!(refused, Err(DeflateError::TooLarge { max: MAX }));
}

#[test]
fn messages_that_are_short_or_cannot_shrink_are_sent_as_they_are() {
    let alone = Agreed { own_takeover: ContextTakeover::Forbidden, ..AGREED };
    let mut compressor = Compressor::new(Deflate::default(), alone);
    assert_eq!(compressor.compress(&[b'x'; 255]), None);
    assert!(compressor.compress(&[b'x'; 256]).is_some());
    let noise: Vec<u8> = (0..1000_u32).flat_map(|i| i.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
    assert_eq!(compressor.compress(&noise), None);
    // zlib has no window of 256 bytes.
    let tiny = Agreed { own_window_bits: 8, ..AGREED };
    assert_eq!(Compressor::new(Deflate::default(), tiny).compress(&[b'x'; 1000]), None);
}

fn takeover() -> impl Strategy<Value = ContextTakeover> {
    any::<bool>().prop_map(|yes| if yes { ContextTakeover::Allowed } else { ContextTakeover::Forbidden })
}

proptest! {
    #[test]
    fn what_one_side_compresses_the_other_inflates(
        messages in prop::collection::vec("[a-f\\[\\]{}\":, é]{0,600}", 1..6),
        takeover in takeover(),
        bits in 9_u8..=15,
        level in 1_u32..=9,
        piece in 1_usize..600,
        room in 1_usize..600,
        split in 0_usize..600,
    ) {
        let agreed = Agreed {
            own_takeover: takeover,
            peer_takeover: takeover,
            own_window_bits: bits,
            peer_window_bits: bits,
        };
        let settings = DeflateSettings::default()
            .with_min_bytes(1)
            .with_level(level)
            .with_own_window_bits(WindowBits::new(bits).unwrap());
        let deflate = Deflate::new(settings);
        let mut compressor = Compressor::new(deflate.clone(), agreed);
        let mut frames = Vec::new();
        for message in &messages {
            match compressor.compress(message.as_bytes()) {
                Some(payload) => {
                    // In two fragments, with a ping between them.
                    let (first, second) = payload.split_at(split.min(payload.len()));
                    let first = frame(first);
                    frames.push(first[0] & 0x7f);
                    frames.extend_from_slice(&first[1..]);
                    frames.extend_from_slice(&[0x89, 0x00]);
                    frames.push(0x80);
                    frames.extend_from_slice(&frame(second)[1..]);
                }
                None => {
                    frames.push(0x81);
                    frames.extend_from_slice(&frame(message.as_bytes())[1..]);
                }
            }
        }
        let mut inbound = Inbound::new(Some((deflate, agreed)), MAX);
        let read = read(rewrite(&mut inbound, &frames, piece, room).unwrap());
        let texts: Vec<_> = read.iter().filter_map(|message| match message {
            Message::Text(text) => Some(text.as_str()),
            _ => None,
        }).collect();
        prop_assert_eq!(texts, messages);
    }

    #[test]
    fn random_bytes_never_panic_and_never_grow_beyond_the_bound(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        room in 1_usize..5000,
    ) {
        let mut inbound = Inbound::new(Some((Deflate::default(), AGREED)), 1000);
        let mut begun = vec![0xc1, 0x7e, 0x07, 0xd0];
        begun.extend_from_slice(&bytes);
        if let Ok(frames) = rewrite(&mut inbound, &begun, usize::MAX, room) {
            prop_assert!(frames.len() <= 1000 + 8 * 4096);
        }
    }
}
