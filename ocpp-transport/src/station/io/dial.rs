//! A TCP connection to a host that may have several addresses.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::sleep;

/// Connects to one of the addresses of a host. The caller sets the deadline.
///
/// # Cancel safety
/// Dropping the future cancels all attempts.
pub(super) async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    dial_any(interleave(lookup_host((host, port)).await?)).await
}

/// Connects to the first address that answers, by the rule of RFC 8305 (happy eyeballs). The next
/// address is tried as soon as one has failed or has not answered for [`HEAD_START`]; earlier
/// attempts continue. So an address that drops every packet costs that delay, and not the deadline.
async fn dial_any(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut addresses = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    loop {
        match addresses.next() {
            Some(address) => attempts.push(TcpStream::connect(address)),
            None if attempts.is_empty() => return Err(error),
            None => {}
        }
        let more = !addresses.as_slice().is_empty();
        tokio::select! {
            Some(attempt) = attempts.next() => match attempt {
                Ok(tcp) => return Ok(tcp),
                Err(failed) => error = failed,
            },
            () = sleep(HEAD_START), if more => {}
        }
    }
}

/// The addresses in the order of the system, alternating between the families (RFC 8305, section
/// 4). If one family is broken, the other is second.
fn interleave(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let addresses: Vec<_> = addresses.take(MAX_ADDRESSES).collect();
    let Some(first) = addresses.first().copied() else { return Vec::new() };
    let (of_first, of_other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == first.is_ipv4());
    let (mut of_first, mut of_other) = (of_first.into_iter(), of_other.into_iter());
    let mut mixed = Vec::new();
    loop {
        let pair = [of_first.next(), of_other.next()];
        if pair.iter().all(Option::is_none) {
            return mixed;
        }
        mixed.extend(pair.into_iter().flatten());
    }
}

/// How long an address is tried before the next one is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Addresses of a host that are tried. A resolver may return any number.
const MAX_ADDRESSES: usize = 16;

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};
    use tokio::time::timeout;

    use super::*;

    #[test]
    fn families_take_turns() {
        let addresses = ["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1", "127.0.0.2:1"];
        let mixed = interleave(addresses.iter().map(|address| address.parse().unwrap()));
        let mixed: Vec<_> = mixed.iter().map(SocketAddr::to_string).collect();
        assert_eq!(mixed, ["[::1]:1", "127.0.0.1:1", "[::2]:1", "127.0.0.2:1", "[::3]:1"]);
    }

    /// An address that does not answer: a listener whose queue is full.
    async fn silent() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(connected) = timeout(Duration::from_millis(500), TcpStream::connect(address)).await {
            queue.push(connected.unwrap());
            assert!(queue.len() < 100, "the queue has no end");
        }
        (listener, queue, address)
    }

    #[tokio::test]
    async fn addresses_that_are_dead_or_silent_leave_time_for_those_that_are_not() {
        let (_listener, _queue, silent) = silent().await;
        let dead = {
            let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
            closed.local_addr().unwrap()
        };
        let alive = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = vec![dead, silent, silent, alive.local_addr().unwrap()];
        // A silent address alone would take minutes.
        let connected = timeout(Duration::from_secs(20), dial_any(addresses)).await.unwrap().unwrap();
        assert_eq!(connected.peer_addr().unwrap(), alive.local_addr().unwrap());

        let refused = dial_any(vec![dead, dead]).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(dial_any(Vec::new()).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
