//! A TCP connection that is read ahead while it waits, to detect that its peer has closed it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP connection, and the bytes read ahead.
#[derive(Debug)]
pub(crate) struct ReadAhead {
    tcp: TcpStream,
    ahead: Vec<u8>,
    taken: usize,
}

impl ReadAhead {
    /// Ready when the peer has closed or reset the connection. Never ready after the peer has sent
    /// more than `MAX_AHEAD_BYTES`.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the bytes read are kept.
    pub(crate) async fn gone(&mut self) {
        while self.ahead.len() < MAX_AHEAD_BYTES {
            self.ahead.reserve_exact(AHEAD_STEP_BYTES);
            match self.tcp.readable().await.and_then(|()| self.tcp.try_read_buf(&mut self.ahead)) {
                Ok(0) => return,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
                Ok(_) => {}
            }
        }
        std::future::pending().await
    }

    /// Copies the first bytes without consuming them. Fewer than requested may be available.
    pub(crate) async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let ahead = self.ahead.get(self.taken..).unwrap_or_default();
        if ahead.is_empty() {
            return self.tcp.peek(buffer).await;
        }
        let length = ahead.len().min(buffer.len());
        buffer[..length].copy_from_slice(&ahead[..length]);
        Ok(length)
    }

    /// Disables the delay of small packets.
    pub(crate) fn set_nodelay(&self) -> io::Result<()> {
        self.tcp.set_nodelay(true)
    }
}

impl From<TcpStream> for ReadAhead {
    fn from(tcp: TcpStream) -> Self {
        Self { tcp, ahead: Vec::new(), taken: 0 }
    }
}

impl AsyncRead for ReadAhead {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(ahead) = this.ahead.get(this.taken..).filter(|ahead| !ahead.is_empty()) {
            let length = ahead.len().min(buffer.remaining());
            buffer.put_slice(&ahead[..length]);
            this.taken += length;
            if this.taken == this.ahead.len() {
                this.ahead = Vec::new();
                this.taken = 0;
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.tcp).poll_read(context, buffer)
    }
}

impl AsyncWrite for ReadAhead {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(context)
    }
}

/// Ready when the peer has closed or reset the connection. Received bytes are appended to `tail`.
/// Never ready after the peer has sent more than `MAX_AHEAD_BYTES`.
///
/// # Cancel safety
/// Dropping the future loses nothing: the bytes read are in `tail`.
pub(crate) async fn gone(stream: &mut (impl AsyncRead + Unpin), tail: &mut Vec<u8>) {
    while tail.len() < MAX_AHEAD_BYTES {
        match stream.read_buf(tail).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    std::future::pending().await
}

/// The most bytes that are read ahead of one connection. A TLS hello with a post-quantum key share
/// has less than 2 KiB, and a station must wait for the response to its upgrade.
const MAX_AHEAD_BYTES: usize = 4 * 1024;

/// Room for one read, in bytes. Most hellos fit into it.
const AHEAD_STEP_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::time::{Duration, timeout};

    use super::*;

    async fn pair() -> (TcpStream, ReadAhead) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0.into())
    }

    #[tokio::test]
    async fn a_peer_that_goes_is_noticed_behind_what_it_has_sent() {
        let (mut client, mut stream) = pair().await;
        client.write_all(&[7; 1500]).await.unwrap();
        drop(client);
        timeout(Duration::from_secs(5), stream.gone()).await.unwrap();
        let mut first = [0; 3];
        assert_eq!(stream.peek(&mut first).await.unwrap(), 3);
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        assert_eq!((first, read), ([7; 3], vec![7; 1500]));
    }

    #[tokio::test]
    async fn what_is_read_ahead_is_bounded() {
        let (mut client, mut stream) = pair().await;
        client.write_all(&[7; 3 * MAX_AHEAD_BYTES]).await.unwrap();
        client.shutdown().await.unwrap();
        while stream.ahead.len() < MAX_AHEAD_BYTES {
            tokio::select! {
                biased;
                () = stream.gone() => panic!("it is not watched any more"),
                () = tokio::task::yield_now() => {}
            }
        }
        assert!(stream.ahead.capacity() <= MAX_AHEAD_BYTES + AHEAD_STEP_BYTES);
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        assert_eq!(read.len(), 3 * MAX_AHEAD_BYTES);
    }
}
