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

/// The retry policy of a CALL, and its progress.
#[derive(Debug)]
pub(super) struct Retrying {
    policy: Retry,
    /// How often the CALL was sent, including earlier connections.
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

    /// Whether another attempt follows a failure at `now`. If so, its time is stored.
    pub(super) fn retries(&mut self, now: Instant) -> bool {
        let delay = self.policy.delay_after(self.sent);
        self.not_before = delay.map(|delay| now + delay);
        delay.is_some()
    }
}

/// The waiting CALLs, in the order in which they were made. A CALL that is retried keeps its place.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Queued>,
}

/// The next step.
pub(super) enum Next {
    /// Send this CALL.
    Send(Queued),
    /// This CALL may not be sent. It has failed.
    NotAccepted(Queued),
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn push(&mut self, call: Queued) {
        self.waiting.push_back(call);
    }

    /// Puts back a CALL that has failed and is sent again later.
    pub(super) fn put_back(&mut self, call: Queued) {
        self.waiting.push_front(call);
    }

    /// The next CALL to be sent, if one may be sent now.
    pub(super) fn take_next(&mut self, now: Instant, gate: &Gate) -> Option<Next> {
        // The first CALL with a retry policy holds back the others with one, so that they stay in
        // order.
        let mut held = false;
        for index in 0..self.waiting.len() {
            let call = self.waiting.get(index)?;
            let permitted = gate.may_send(&call.action);
            match &call.retry {
                None if permitted => return self.waiting.remove(index).map(Next::Send),
                // B01.FR.08: the CALL will not be permitted soon, so it fails and its caller is
                // informed.
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

    /// Removes all CALLs.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Queued> {
        std::mem::take(&mut self.waiting).into_iter()
    }
}
