//! Reads the head of an HTTP message from a socket.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::upgrade::MAX_HEAD_BYTES;

/// The head of an HTTP message, and the bytes after it from the same read.
pub(crate) struct Head {
    pub(crate) head: Vec<u8>,
    pub(crate) tail: Vec<u8>,
}

/// Why no head was read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeadError {
    #[error("the head of the HTTP message is longer than {MAX_HEAD_BYTES} bytes")]
    TooLong,
    #[error("the bytes received are not HTTP")]
    NotHttp,
    #[error("the connection failed during the HTTP handshake")]
    Io {
        /// The bytes that were received before.
        head: Vec<u8>,
        #[source]
        source: io::Error,
    },
}

/// Reads up to the empty line that ends a head. The caller sets the deadline.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Result<Head, HeadError> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        let before = bytes.len();
        match stream.read_buf(&mut bytes).await {
            Ok(0) => return Err(HeadError::Io { head: bytes, source: io::ErrorKind::UnexpectedEof.into() }),
            Ok(_) => {}
            Err(source) => return Err(HeadError::Io { head: bytes, source }),
        }
        // Usually a TLS client on a port without TLS. It would wait for an answer until the
        // deadline.
        if !bytes[0].is_ascii_uppercase() {
            return Err(HeadError::NotHttp);
        }
        // The empty line may have begun in an earlier read.
        let from = before.saturating_sub(END.len() - 1);
        if let Some(end) = bytes[from..].windows(END.len()).position(|window| window == END) {
            let end = from + end + END.len();
            if end > MAX_HEAD_BYTES {
                return Err(HeadError::TooLong);
            }
            let tail = bytes.split_off(end);
            return Ok(Head { head: bytes, tail });
        }
        if bytes.len() >= MAX_HEAD_BYTES {
            return Err(HeadError::TooLong);
        }
    }
}

const END: &[u8] = b"\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_head_ends_with_the_empty_line() {
        let mut input = b"GET / HTTP/1.1\r\n\r".chain(&b"\nrest"[..]);
        let head = read_head(&mut input).await.unwrap();
        assert_eq!(
            (head.head.as_slice(), head.tail.as_slice()),
            (&b"GET / HTTP/1.1\r\n\r\n"[..], &b"rest"[..])
        );
    }

    #[tokio::test]
    async fn a_head_without_end_is_bounded() {
        let error = read_head(&mut tokio::io::repeat(b'X')).await.err().unwrap();
        assert!(matches!(error, HeadError::TooLong));
        let error = read_head(&mut &b"GET /"[..]).await.err().unwrap();
        assert!(matches!(error, HeadError::Io { head, .. } if head == b"GET /"));
    }

    #[tokio::test]
    async fn what_is_not_http_is_found_at_once() {
        let error = read_head(&mut tokio::io::repeat(0x16)).await.err().unwrap();
        assert!(matches!(error, HeadError::NotHttp));
    }
}
