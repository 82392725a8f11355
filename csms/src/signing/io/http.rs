//! One HTTP request to a host that the operator allows.
//!
//! A station chooses the URL. A request must not give the station access to the operator's network.
//! Therefore only hosts with an allowed name are connected to, redirects are not followed, proxies
//! of the environment are not used, and the answer is bounded in time and length.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode, Uri, body::Bytes, header};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// The request, and the bound of its answer.
#[derive(Debug)]
pub(crate) struct Fetch<'a> {
    /// The URL as the station has sent it.
    pub(crate) url: &'a str,
    /// The body and content type of a POST; `None`: a GET.
    pub(crate) post: Option<(&'static str, Vec<u8>)>,
    /// The longest answer, in bytes.
    pub(crate) longest: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// The text is not an http:// URL with a host.
    #[error("the URL is no http:// URL with a host")]
    Url,
    /// The host is not allowed.
    #[error("{host} is not in ocsp.allowed_hosts")]
    Host {
        /// The host, with its port if that is not 80.
        host: String,
    },
    /// The connection was not made, or it broke.
    #[error("the connection failed")]
    Connect(#[source] std::io::Error),
    /// The answer is not HTTP, or it ended too early.
    #[error("the exchange failed")]
    Exchange(#[source] hyper::Error),
    /// The status is not 200; redirects are not followed.
    #[error("the server answered with HTTP {0}")]
    Status(StatusCode),
    /// The answer is longer than the bound, or it ended too early.
    #[error("the answer is longer than {longest} bytes, or broke off")]
    Body {
        /// The bound.
        longest: usize,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer took too long.
    #[error("there was no answer within {} s", DEADLINE.as_secs())]
    Deadline,
}

/// Sends the request if its host is one of `allowed`: `name` for port 80, `name:port` for another
/// port.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub(crate) async fn fetch(what: Fetch<'_>, allowed: &[String]) -> Result<Bytes, FetchError> {
    let uri = what.url.parse::<Uri>().map_err(|_| FetchError::Url)?;
    let authority = uri.authority().ok_or(FetchError::Url)?;
    // A user name before the host could only deceive a reader.
    if uri.scheme_str() != Some("http") || authority.as_str().contains('@') {
        return Err(FetchError::Url);
    }
    let (host, port) = (authority.host(), authority.port_u16().unwrap_or(80));
    let named = if port == 80 { host.to_owned() } else { format!("{host}:{port}") };
    if !allowed.iter().any(|allowed| allowed.trim_end_matches(":80").eq_ignore_ascii_case(&named)) {
        return Err(FetchError::Host { host: named });
    }
    timeout(DEADLINE, exchange(what, &uri, host, port)).await.map_err(|_| FetchError::Deadline)?
}

async fn exchange(what: Fetch<'_>, uri: &Uri, host: &str, port: u16) -> Result<Bytes, FetchError> {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((address, port)).await.map_err(FetchError::Connect)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(FetchError::Exchange)?;
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let request = Request::builder().uri(target).header(header::HOST, host);
    let request = match what.post {
        Some((content_type, body)) => request
            .method(Method::POST)
            .header(header::CONTENT_TYPE, content_type)
            .body(Full::new(Bytes::from(body))),
        None => request.body(Full::default()),
    };
    let request = request.map_err(|_| FetchError::Url)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(FetchError::Exchange)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), what.longest).collect().await;
        let body = body.map_err(|source| FetchError::Body { longest: what.longest, source })?;
        Ok(body.to_bytes())
    };
    let mut answer = std::pin::pin!(answer);
    // The answer is read by the connection. The connection may end first, after all that the answer
    // needs was read.
    tokio::select! {
        answer = &mut answer => answer,
        ended = connection => match ended {
            Ok(()) => answer.await,
            Err(error) => Err(FetchError::Exchange(error)),
        },
    }
}

/// A vehicle waits 4.5 s for a message that depends on this answer (M06, errata of the timeouts).
const DEADLINE: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_hosts_that_are_allowed_are_connected_to() {
        // No program listens on this address, so an attempt to connect would return another error.
        let allowed = ["ocsp.invalid:80".to_owned(), "127.0.0.1:1".to_owned()];
        for (url, expected) in [
            ("http://127.0.0.1/", "127.0.0.1 is not in ocsp.allowed_hosts"),
            ("http://127.0.0.1:2/", "127.0.0.1:2 is not in ocsp.allowed_hosts"),
            ("http://169.254.169.254/latest/meta-data", "169.254.169.254 is not in"),
            ("http://ocsp.invalid.example/", "ocsp.invalid.example is not in"),
            ("http://ocsp.invalid@127.0.0.2/", "no http:// URL"),
            ("http://[::1]:1/", "[::1]:1 is not in"),
            ("https://127.0.0.1:1/", "no http:// URL"),
            ("file:///etc/passwd", "no http:// URL"),
            ("//127.0.0.1:1/", "no http:// URL"),
            ("/relative", "no http:// URL"),
            ("", "no http:// URL"),
            ("http://127.0.0.1:1/", "the connection failed"),
        ] {
            let what = Fetch { url, post: None, longest: 10 };
            let error = fetch(what, &allowed).await.expect_err(url).to_string();
            assert!(error.contains(expected), "{url}: {error}");
        }
    }
}
