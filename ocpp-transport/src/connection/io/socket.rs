//! A WebSocket that one task reads and writes at the same time.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Sink, SinkExt, Stream as _, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::connection::io::inflate::Inflating;
use crate::connection::io::settings::LinkSettings;
use crate::connection::io::stream::Stream;
use crate::deflate::{Agreed, BAD_GATEWAY, Compressor, Inbound};
use crate::metrics::Metrics;
use crate::session::{Transmit, TransmitKind};

/// The socket, and the data that waits to be written to it.
pub(crate) struct Socket {
    web_socket: WebSocketStream<Inflating>,
    /// `None`: no compression was agreed.
    compressor: Option<Compressor>,
    outgoing: VecDeque<Outgoing>,
    written: Vec<TransmitKind>,
    unflushed_since: Option<Instant>,
    reading: Reading,
    role: Role,
}

/// Whether the socket is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    On,
    /// The peer's data waits in the buffers of the operating systems, until they are full and the
    /// peer must wait, too.
    Paused,
}

enum Outgoing {
    Frame(Transmit),
    Ping,
}

/// An event of the socket.
#[derive(Debug)]
pub(crate) enum SocketEvent {
    /// These frames are flushed; the kernel has them.
    Flushed(Vec<TransmitKind>),
    /// A message was received.
    Message(Message),
    /// The connection has ended, by an error, or without one after both sides have sent Close.
    Ended(Option<tungstenite::Error>),
}

impl Socket {
    /// A WebSocket on a stream after its upgrade. `tail` are the bytes that followed the upgrade.
    pub(crate) async fn open(
        stream: Stream,
        tail: Vec<u8>,
        role: Role,
        settings: &LinkSettings,
        agreed: Option<Agreed>,
        metrics: &Metrics,
    ) -> Self {
        let agreed = settings.deflate.clone().zip(agreed);
        let inbound = Inbound::new(agreed.clone(), settings.session.limits.max_bytes);
        let compressor = agreed.map(|(deflate, agreed)| Compressor::new(deflate, agreed));
        let stream = Inflating::new(stream, tail, inbound, metrics.clone());
        let web_socket = WebSocketStream::from_raw_socket(stream, role, Some(settings.web_socket())).await;
        Self {
            web_socket,
            compressor,
            outgoing: VecDeque::new(),
            written: Vec::new(),
            unflushed_since: None,
            reading: Reading::On,
            role,
        }
    }

    pub(crate) fn send(&mut self, now: Instant, transmit: Transmit) {
        self.outgoing.push_back(Outgoing::Frame(transmit));
        self.unflushed_since.get_or_insert(now);
    }

    pub(crate) fn ping(&mut self, now: Instant) {
        self.outgoing.push_back(Outgoing::Ping);
        self.unflushed_since.get_or_insert(now);
    }

    pub(crate) fn set_reading(&mut self, reading: Reading) {
        self.reading = reading;
    }

    /// Whether the peer reads what is sent to it.
    pub(crate) fn has_room(&self) -> bool {
        self.outgoing.len() < MAX_OUTGOING
    }

    /// Since when data waits for the peer to read; `None` if all is flushed.
    pub(crate) fn unflushed_since(&self) -> Option<Instant> {
        self.unflushed_since
    }

    /// Writes the waiting data, and reads. Must not be polled again after `Ended`.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<SocketEvent> {
        match self.poll_write(context) {
            Poll::Ready(Ok(kinds)) => return Poll::Ready(SocketEvent::Flushed(kinds)),
            Poll::Ready(Err(error)) => return Poll::Ready(SocketEvent::Ended(Some(error))),
            Poll::Pending => {}
        }
        // A peer that does not read its answers is not read either. This bounds the data that waits
        // for it.
        if self.outgoing.len() >= MAX_OUTGOING || self.reading == Reading::Paused {
            return Poll::Pending;
        }
        Poll::Ready(match ready!(Pin::new(&mut self.web_socket).poll_next(context)) {
            Some(Ok(message)) => SocketEvent::Message(message),
            Some(Err(error)) => SocketEvent::Ended(Some(error)),
            None => SocketEvent::Ended(None),
        })
    }

    /// Ready when all is flushed. Pending also if there was nothing to flush.
    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Vec<TransmitKind>, tungstenite::Error>> {
        let mut web_socket = Pin::new(&mut self.web_socket);
        while !self.outgoing.is_empty() {
            ready!(web_socket.as_mut().poll_ready(context))?;
            let message = match self.outgoing.pop_front() {
                Some(Outgoing::Frame(Transmit { kind, text })) => {
                    self.written.push(kind);
                    match self.compressor.as_mut().and_then(|to| to.compress(text.as_bytes())) {
                        Some(payload) => compressed(payload),
                        None => Message::text(text),
                    }
                }
                Some(Outgoing::Ping) => Message::Ping(tungstenite::Bytes::new()),
                None => break,
            };
            web_socket.as_mut().start_send(message)?;
        }
        if self.unflushed_since.is_none() {
            return Poll::Pending;
        }
        ready!(web_socket.poll_flush(context))?;
        self.unflushed_since = None;
        Poll::Ready(Ok(std::mem::take(&mut self.written)))
    }

    /// Sends Close, waits for the peer's Close, and shuts the connection down. Takes at most twice
    /// `patience`.
    pub(crate) async fn close(mut self, frame: CloseFrame, patience: Duration) {
        let mut acknowledged = false;
        let handshake = async {
            if self.web_socket.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(message)) = self.web_socket.next().await {
                    acknowledged |= message.is_close();
                }
            }
        };
        let _ = timeout(patience, handshake).await;
        let mut stream = self.web_socket.into_inner().into_inner();
        if acknowledged {
            let _ = timeout(patience, stream.shutdown()).await;
        } else {
            linger(stream, patience).await;
        }
    }

    /// The code of a Close frame as the peer sent it.
    pub(crate) fn close_code(&self, code: u16) -> u16 {
        if self.web_socket.get_ref().is_bad_gateway() { BAD_GATEWAY } else { code }
    }

    /// Sends the answer to the peer's Close, and shuts the connection down. Takes at most twice
    /// `patience`.
    pub(crate) async fn finish(mut self, patience: Duration) {
        if self.web_socket.get_ref().is_bad_gateway() {
            // The only code that tungstenite cannot send back.
            let mut stream = self.web_socket.into_inner().into_inner();
            let [high, low] = BAD_GATEWAY.to_be_bytes();
            let answer: &[u8] = match self.role {
                Role::Server => &[0x88, 2, high, low],
                // Masked with zeros: the mask protects proxies from content that an attacker
                // chooses, and no attacker chooses this.
                Role::Client => &[0x88, 0x82, 0, 0, 0, 0, high, low],
            };
            let farewell = async {
                stream.write_all(answer).await?;
                stream.shutdown().await
            };
            let _ = timeout(patience, farewell).await;
            return;
        }
        let _ = timeout(patience, async { while let Some(Ok(_)) = self.web_socket.next().await {} }).await;
        let _ = timeout(patience, self.web_socket.into_inner().into_inner().shutdown()).await;
    }
}

/// A text message as one frame with RSV1 set (RFC 7692, section 6). tungstenite masks it if
/// necessary.
fn compressed(payload: Vec<u8>) -> Message {
    let mut frame = Frame::message(payload, OpCode::Data(Data::Text), true);
    frame.header_mut().rsv1 = true;
    Message::Frame(frame)
}

/// Ends a connection so that the peer still receives what was sent. A socket that is closed with
/// unread bytes is reset, and a reset destroys a Close frame that is not read yet.
async fn linger(mut stream: Stream, patience: Duration) {
    let rest = async {
        stream.shutdown().await?;
        let mut unread = [0; 1024];
        let mut total = 0;
        loop {
            match stream.read(&mut unread).await? {
                0 => break,
                read => total += read,
            }
            if total > MAX_UNREAD_BYTES {
                break;
            }
        }
        std::io::Result::Ok(())
    };
    let _ = timeout(patience, rest).await;
}

/// Frames that wait for the peer to read, before this side stops reading. There is more than one
/// only if the peer misbehaves.
const MAX_OUTGOING: usize = 8;

/// The bytes that a peer may still send after the end before the connection is cut: a few of its
/// largest frames.
const MAX_UNREAD_BYTES: usize = 1024 * 1024;
