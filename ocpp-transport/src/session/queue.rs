//! CALLs of this side that wait for their turn.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Instant;

use crate::message_id::MessageId;
use crate::session::event::CallKey;
use crate::session::gate::Gate;
use crate::session::retry::Retry;

/// One CALL.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) key: CallKey,
    pub(super) id: MessageId,
    pub(super) action: Cow<'static, str>,
    /// The frame.
    pub(super) text: String,
    pub(super) retry: Option<Retrying>,
}

/// The retry policy of a CALL, and how far it has come.
#[derive(Debug)]
pub(super) struct Retrying {
    policy: Retry,
    /// How often it was sent, on earlier connections too.
    sent: u32,
    not_before: Option<Instant>,
}

impl Retrying {
    pub(super) fn new(policy: Retry) -> Self {
        Self { policy, sent: policy.preceding(), not_before: None }
    }

    pub(super) fn handle_sent(&mut self) {
        self.sent = self.sent.saturating_add(1);
    }

    pub(super) fn sent(&self) -> u32 {
        self.sent
    }

    /// Whether there is another attempt after a failure now; it knows from then on when.
    pub(super) fn retries(&mut self, now: Instant) -> bool {
        let delay = self.policy.delay_after(self.sent);
        self.not_before = delay.map(|delay| now + delay);
        delay.is_some()
    }
}

/// The CALLs that wait, in the order in which they were made. One that is to be retried stands in
/// its old place.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Queued>,
}

/// What is to be done next.
pub(super) enum Next {
    /// Send this one.
    Send(Queued),
    /// This one may not be sent; it has failed.
    NotAccepted(Queued),
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn push(&mut self, call: Queued) {
        self.waiting.push_back(call);
    }

    /// Puts a CALL back that has failed and is sent again later.
    pub(super) fn put_back(&mut self, call: Queued) {
        self.waiting.push_front(call);
    }

    /// The next CALL to be sent, if one may be sent now.
    pub(super) fn take_next(&mut self, now: Instant, gate: &Gate) -> Option<Next> {
        // The first with a retry policy holds up the others that have one, so that they stay in
        // order.
        let mut held = false;
        for index in 0..self.waiting.len() {
            let call = self.waiting.get(index)?;
            let permitted = gate.may_send(&call.action);
            match &call.retry {
                None if permitted => return self.waiting.remove(index).map(Next::Send),
                // B01.FR.08: nothing else is going to permit it soon, so whoever waits for it is
                // told.
                None => return self.waiting.remove(index).map(Next::NotAccepted),
                Some(retrying) => {
                    if !held && permitted && retrying.not_before.is_none_or(|time| time <= now) {
                        return self.waiting.remove(index).map(Next::Send);
                    }
                    held = true;
                }
            }
        }
        None
    }

    /// When the first CALL with a retry policy may be sent again, if it waits for that.
    pub(super) fn next_time(&self, gate: &Gate) -> Option<Instant> {
        let first = self.waiting.iter().find(|call| call.retry.is_some())?;
        first.retry.as_ref()?.not_before.filter(|_| gate.may_send(&first.action))
    }

    /// Takes all of them out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Queued> {
        std::mem::take(&mut self.waiting).into_iter()
    }
}
