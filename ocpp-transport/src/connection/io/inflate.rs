//! The bytes below a WebSocket, with the peer's messages inflated and in short frames.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::io::stream::Stream;
use crate::connection::tap::Direction;
use crate::deflate::{DeflateError, Inbound};
use crate::metrics::Metrics;

/// A [`Stream`] whose reader sees no compressed and no long frames. Writing is unchanged.
pub(crate) struct Inflating {
    stream: Stream,
    inbound: Inbound,
    /// Bytes that were read but not processed, because the reader had no more room.
    unread: Vec<u8>,
    metrics: Metrics,
}

impl Inflating {
    /// `tail` was already read from the stream.
    pub(crate) fn new(stream: Stream, tail: Vec<u8>, inbound: Inbound, metrics: Metrics) -> Self {
        metrics.wire(Direction::In, tail.len());
        Self { stream, inbound, unread: tail, metrics }
    }

    /// Whether the peer closes with 1014.
    pub(crate) fn is_bad_gateway(&self) -> bool {
        self.inbound.is_bad_gateway()
    }

    pub(crate) fn into_inner(self) -> Stream {
        self.stream
    }
}

impl AsyncRead for Inflating {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, inbound, unread, metrics } = self.get_mut();
        loop {
            if !unread.is_empty() || inbound.is_waiting() {
                let progress = inbound.handle_bytes(unread, buffer.initialize_unfilled()).map_err(invalid)?;
                buffer.advance(progress.given);
                forget(unread, progress.taken);
                if progress.given > 0 {
                    return Poll::Ready(Ok(()));
                }
            }
            // On the stack, because most connections are idle.
            let mut piece = [0; PIECE_BYTES];
            let mut read = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut *stream).poll_read(context, &mut read))?;
            let read = read.filled();
            if read.is_empty() {
                return Poll::Ready(Ok(()));
            }
            metrics.wire(Direction::In, read.len());
            let progress = inbound.handle_bytes(read, buffer.initialize_unfilled()).map_err(invalid)?;
            buffer.advance(progress.given);
            // The rest is processed by the next call.
            unread.extend_from_slice(&read[progress.taken..]);
            if progress.given > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Inflating {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, metrics, .. } = self.get_mut();
        let result = ready!(Pin::new(stream).poll_write(context, bytes));
        metrics.wire(Direction::Out, result.as_ref().copied().unwrap_or_default());
        Poll::Ready(result)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// The peer's fault, if it ended the stream.
pub(crate) fn deflate_error(error: &io::Error) -> Option<DeflateError> {
    error.get_ref()?.downcast_ref().copied()
}

fn invalid(error: DeflateError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Drops the processed bytes, and the buffer when it is empty.
fn forget(unread: &mut Vec<u8>, length: usize) {
    if length == unread.len() {
        *unread = Vec::new();
    } else {
        unread.drain(..length);
    }
}

/// The number of bytes that are read at once.
const PIECE_BYTES: usize = 4096;
