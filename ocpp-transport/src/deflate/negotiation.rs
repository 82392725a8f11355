//! Negotiates the parameters of two sides (RFC 7692, section 7.1).

use crate::deflate::header::{self, Extension, Malformed};
use crate::deflate::{ContextTakeover, Deflate, DeflateSettings, WindowBits};

/// The parameters that were agreed for one connection, as one side sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Agreed {
    /// Whether messages of this side refer to earlier ones.
    pub own_takeover: ContextTakeover,
    /// Whether messages of the peer refer to earlier ones.
    pub peer_takeover: ContextTakeover,
    /// The window of this side's compressor, 8 to 15.
    pub own_window_bits: u8,
    /// The window of the peer's compressor, 8 to 15.
    pub peer_window_bits: u8,
}

/// Why the negotiation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NegotiationError {
    /// The header does not follow its grammar.
    #[error("Sec-WebSocket-Extensions is malformed")]
    Malformed,
    /// The response grants an extension or parameters that were not offered.
    #[error("the response demands an extension, or parameters of one, that were not offered")]
    NotOffered,
}

impl From<Malformed> for NegotiationError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// The checked parameters of one element of the header.
#[derive(Debug, Default, Clone, Copy)]
struct Parameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<ClientBits>,
}

/// `client_max_window_bits`. In an offer its value may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClientBits {
    Any,
    AtMost(u8),
}

impl Deflate {
    /// The value of a client's header. It offers the parameters of the settings, and as a fallback
    /// the same without window sizes, for servers that refuse a smaller window.
    #[must_use]
    pub fn offer(&self) -> String {
        let settings = self.settings();
        let without_sizes = DeflateSettings {
            own_window_bits: WindowBits::MAX,
            peer_window_bits: WindowBits::MAX,
            ..settings
        };
        let (first, fallback) = (offer(settings), offer(without_sizes));
        if first == fallback { first } else { format!("{first}, {fallback}") }
    }

    /// Answers a client's offers. The first offer that can be granted is granted, and the value of
    /// the server's header is returned with it. `None`: the connection is not compressed.
    ///
    /// # Errors
    /// [`NegotiationError::Malformed`]
    pub fn answer<'a>(
        &self,
        offers: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<(Agreed, String)>, NegotiationError> {
        let offers = header::parse(offers)?;
        // An offer with an unknown parameter or value is declined, and the next one is checked.
        let acceptable = offers.iter().filter(|offer| offer.name == NAME).find_map(Parameters::read);
        Ok(acceptable.map(|offer| grant(self.settings(), offer)))
    }

    /// Checks the server's answer to [`Deflate::offer`]. `None`: the server declines compression.
    ///
    /// # Errors
    /// [`NegotiationError`]; the client must then close the connection.
    pub fn check_answer<'a>(
        &self,
        answer: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<Agreed>, NegotiationError> {
        let answer = header::parse(answer)?;
        let granted = match answer.as_slice() {
            [] => return Ok(None),
            [granted] if granted.name == NAME => granted,
            _ => return Err(NegotiationError::NotOffered),
        };
        let granted = Parameters::read(granted).ok_or(NegotiationError::NotOffered)?;
        accept(self.settings(), granted).map(Some).ok_or(NegotiationError::NotOffered)
    }
}

/// One offer of a client.
fn offer(settings: DeflateSettings) -> String {
    let mut offer = NAME.to_owned();
    if settings.peer_takeover == ContextTakeover::Forbidden {
        push(&mut offer, SERVER_NO_CONTEXT_TAKEOVER, None);
    }
    if settings.own_takeover == ContextTakeover::Forbidden {
        push(&mut offer, CLIENT_NO_CONTEXT_TAKEOVER, None);
    }
    let size = |bits: WindowBits| Some(bits.get()).filter(|_| bits < WindowBits::MAX);
    if let Some(bits) = size(settings.peer_window_bits) {
        push(&mut offer, SERVER_MAX_WINDOW_BITS, Some(bits));
    }
    push(&mut offer, CLIENT_MAX_WINDOW_BITS, size(settings.own_window_bits));
    offer
}

/// The server's side: the parameters granted for an offer, and the header that grants them.
fn grant(settings: DeflateSettings, offer: Parameters) -> (Agreed, String) {
    let mut answer = NAME.to_owned();
    // 7.1.1.1: the client may require it. 7.1.1.2: the server may, even if it was not offered.
    let own_takeover = settings.own_takeover.unless(offer.server_no_context_takeover);
    if own_takeover == ContextTakeover::Forbidden {
        push(&mut answer, SERVER_NO_CONTEXT_TAKEOVER, None);
    }
    // 7.1.2.2: only a client that offers it may be asked for a smaller window.
    let wanted = settings.peer_window_bits.get();
    let peer_window_bits = match offer.client_max_window_bits {
        None => WindowBits::MAX.get(),
        Some(ClientBits::Any) => wanted,
        Some(ClientBits::AtMost(bits)) => wanted.min(bits),
    };
    // A client that cannot limit its window gets no context, which would take 32 KiB.
    let peer_takeover =
        settings.peer_takeover.unless(offer.client_no_context_takeover || peer_window_bits > wanted);
    if peer_takeover == ContextTakeover::Forbidden {
        push(&mut answer, CLIENT_NO_CONTEXT_TAKEOVER, None);
    }
    // 7.1.2.1: required if it was offered.
    let own_window_bits = settings.own_window_bits.get().min(offer.server_max_window_bits.unwrap_or(u8::MAX));
    if offer.server_max_window_bits.is_some() || own_window_bits < WindowBits::MAX.get() {
        push(&mut answer, SERVER_MAX_WINDOW_BITS, Some(own_window_bits));
    }
    if offer.client_max_window_bits.is_some() && peer_window_bits < WindowBits::MAX.get() {
        push(&mut answer, CLIENT_MAX_WINDOW_BITS, Some(peer_window_bits));
    }
    (Agreed { own_takeover, peer_takeover, own_window_bits, peer_window_bits }, answer)
}

/// The client's side: the parameters of a server's answer, if it answers an offer of
/// [`Deflate::offer`]. The server may choose any window size, because one of the offers has none.
fn accept(settings: DeflateSettings, granted: Parameters) -> Option<Agreed> {
    let peer_window_bits = granted.server_max_window_bits.unwrap_or(WindowBits::MAX.get());
    if settings.peer_takeover == ContextTakeover::Forbidden && !granted.server_no_context_takeover {
        return None;
    }
    let own = settings.own_window_bits.get();
    let own_window_bits = match granted.client_max_window_bits {
        None => own,
        Some(ClientBits::AtMost(bits)) => own.min(bits),
        // 7.1.2.2: in an answer the value is required.
        Some(ClientBits::Any) => return None,
    };
    Some(Agreed {
        own_takeover: settings.own_takeover.unless(granted.client_no_context_takeover),
        peer_takeover: ContextTakeover::Allowed.unless(granted.server_no_context_takeover),
        own_window_bits,
        peer_window_bits,
    })
}

impl ContextTakeover {
    fn unless(self, forbidden: bool) -> Self {
        if forbidden { Self::Forbidden } else { self }
    }
}

impl Parameters {
    /// `None` if a parameter is unknown, occurs twice, or has a value that section 7.1 does not
    /// permit.
    fn read(extension: &Extension) -> Option<Self> {
        let mut read = Self::default();
        for (name, value) in &extension.parameters {
            let value = value.as_deref();
            let first = match name.as_str() {
                SERVER_NO_CONTEXT_TAKEOVER if value.is_none() => {
                    !std::mem::replace(&mut read.server_no_context_takeover, true)
                }
                CLIENT_NO_CONTEXT_TAKEOVER if value.is_none() => {
                    !std::mem::replace(&mut read.client_no_context_takeover, true)
                }
                SERVER_MAX_WINDOW_BITS => read.server_max_window_bits.replace(bits(value?)?).is_none(),
                CLIENT_MAX_WINDOW_BITS => {
                    let value = match value {
                        Some(value) => ClientBits::AtMost(bits(value)?),
                        None => ClientBits::Any,
                    };
                    read.client_max_window_bits.replace(value).is_none()
                }
                _ => return None,
            };
            if !first {
                return None;
            }
        }
        Some(read)
    }
}

/// A number from 8 to 15 without leading zeros.
fn bits(value: &str) -> Option<u8> {
    (8..=15).find(|bits: &u8| bits.to_string() == value)
}

fn push(header: &mut String, name: &str, value: Option<u8>) {
    header.push_str("; ");
    header.push_str(name);
    if let Some(value) = value {
        header.push('=');
        header.push_str(&value.to_string());
    }
}

const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

#[cfg(test)]
mod tests {
    use super::*;

    /// Allows everything, so that only the requirements of the peer restrict.
    fn generous() -> DeflateSettings {
        DeflateSettings::default()
            .with_own_takeover(ContextTakeover::Allowed)
            .with_peer_takeover(ContextTakeover::Allowed)
    }

    #[track_caller]
    fn check_answer(settings: DeflateSettings, offers: &str, expected: Option<&str>) {
        let answer = Deflate::new(settings).answer([offers.as_bytes()]).expect(offers);
        assert_eq!(answer.map(|(_, header)| header).as_deref(), expected, "{offers}");
    }

    #[test]
    fn rfc_7692_7_1_a_server_grants_what_is_asked_for() {
        let name = "permessage-deflate";
        check_answer(generous(), name, Some(name));
        for parameter in
            ["server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits=10"]
        {
            let offer = format!("{name}; {parameter}");
            check_answer(generous(), &offer, Some(&offer));
        }
        check_answer(generous(), "permessage-deflate; client_max_window_bits", Some(name));
        let offer = "permessage-deflate; client_max_window_bits=8";
        check_answer(generous(), offer, Some(offer));
        check_answer(generous(), "permessage-deflate; server_max_window_bits=\"15\"", {
            Some("permessage-deflate; server_max_window_bits=15")
        });
        check_answer(generous(), "x-webkit-deflate-frame", None);
        check_answer(generous(), "", None);
    }

    #[test]
    fn rfc_7692_7_1_by_default_a_server_forbids_context_takeover() {
        let answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        check_answer(DeflateSettings::default(), "permessage-deflate", Some(answer));
        check_answer(DeflateSettings::default(), "permessage-deflate; client_max_window_bits", Some(answer));
    }

    #[test]
    fn rfc_7692_7_1_2_windows() {
        let small = generous()
            .with_peer_window_bits(WindowBits::MIN)
            .with_own_window_bits(WindowBits::new(12).expect("12 is between 9 and 15"));
        let offer = "permessage-deflate; client_max_window_bits";
        let answer = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=9";
        check_answer(small, offer, Some(answer));
        let offer = "permessage-deflate; client_max_window_bits=10; server_max_window_bits=15";
        check_answer(small, offer, Some(answer));
        // A client that cannot limit its window keeps no context.
        let answer = "permessage-deflate; client_no_context_takeover; server_max_window_bits=12";
        check_answer(small, "permessage-deflate", Some(answer));
    }

    #[test]
    fn rfc_7692_5_1_an_offer_that_cannot_be_granted_falls_back_to_the_next() {
        for bad in [
            "server_max_window_bits",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=010",
            "client_max_window_bits=0",
            "server_no_context_takeover=1",
            "client_no_context_takeover=yes",
            "unknown",
            "server_no_context_takeover; server_no_context_takeover",
            "client_max_window_bits; client_max_window_bits=9",
        ] {
            check_answer(generous(), &format!("permessage-deflate; {bad}"), None);
            let two = format!("permessage-deflate; {bad}, permessage-deflate; client_no_context_takeover");
            check_answer(generous(), &two, Some("permessage-deflate; client_no_context_takeover"));
        }
        assert_eq!(Deflate::default().answer([&b"a b"[..]]), Err(NegotiationError::Malformed));
    }

    #[test]
    fn what_is_offered_is_what_the_other_side_grants() {
        let takeovers = [ContextTakeover::Forbidden, ContextTakeover::Allowed];
        let windows = [9, 12, 15].map(|bits| WindowBits::new(bits).expect("between 9 and 15"));
        let mut settings = Vec::new();
        for own_takeover in takeovers {
            for peer_takeover in takeovers {
                for own_window_bits in windows {
                    for peer_window_bits in windows {
                        settings.push(DeflateSettings {
                            own_takeover,
                            peer_takeover,
                            own_window_bits,
                            peer_window_bits,
                            ..DeflateSettings::default()
                        });
                    }
                }
            }
        }
        for client in &settings {
            for server in &settings {
                let (client, server) = (Deflate::new(*client), Deflate::new(*server));
                let (at_server, answer) =
                    server.answer([client.offer().as_bytes()]).unwrap().expect("is granted");
                let at_client = client.check_answer([answer.as_bytes()]).unwrap().expect("is granted");
                assert_eq!(at_client.own_takeover, at_server.peer_takeover, "{client:?} {answer}");
                assert_eq!(at_client.peer_takeover, at_server.own_takeover, "{client:?} {answer}");
                assert!(at_client.own_window_bits <= at_server.peer_window_bits, "{client:?} {answer}");
                assert!(at_server.own_window_bits <= at_client.peer_window_bits, "{client:?} {answer}");
            }
        }
    }

    #[test]
    fn rfc_7692_5_1_sizes_are_offered_with_a_fallback() {
        let small = generous().with_own_window_bits(WindowBits::MIN).with_peer_window_bits(WindowBits::MIN);
        assert_eq!(
            Deflate::new(small).offer(),
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9, \
             permessage-deflate; client_max_window_bits"
        );
        assert_eq!(
            Deflate::default().offer(),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits"
        );
    }

    #[test]
    fn rfc_7692_7_1_a_client_refuses_what_it_did_not_offer() {
        let strict = Deflate::default();
        let good = "permessage-deflate; server_no_context_takeover";
        for answer in [
            "permessage-bzip2",
            "permessage-deflate, permessage-deflate",
            "permessage-deflate",
            "permessage-deflate; server_max_window_bits=9",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=16",
            "permessage-deflate; server_no_context_takeover; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover; more",
        ] {
            let refused = strict.check_answer([answer.as_bytes()]);
            assert_eq!(refused, Err(NegotiationError::NotOffered), "{answer}");
        }
        assert!(strict.check_answer([good.as_bytes()]).unwrap().is_some());
        assert_eq!(strict.check_answer([]), Ok(None));
    }
}
