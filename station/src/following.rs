//! Follows one request for a certificate among the events of all renewals.

use ocpp_types::Timestamp;

use crate::{
    control::{Outcome, Step},
    renewal::{End, Target},
};

/// An event in the renewal of the station's certificates. `P` names a pending key in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happened<P> {
    /// The key `pending` is being generated for `subject`.
    Begun { subject: Target, pending: P },
    /// The key has been generated.
    KeyMade { pending: P },
    /// The key could not be generated.
    KeyNotMade { pending: P, reason: String },
    /// The request is being sent.
    Sent { pending: P },
    /// The CSMS has accepted the request; it is sent again at `again`.
    Accepted { pending: P, again: Timestamp },
    /// The CSMS did not answer.
    NotAnswered { pending: P },
    /// The series of `subject` that was under way has ended.
    Ended { subject: Target, end: End },
}

/// One request that is followed to its end.
#[derive(Clone, Debug)]
pub(crate) struct Followed<P> {
    subject: Target,
    pending: P,
    begun: bool,
    outcome: Option<Outcome>,
}

impl<P: Copy + Ord> Followed<P> {
    /// Follows the request with the key `pending`, which is about to begin.
    pub(crate) fn new(subject: Target, pending: P) -> Self {
        Self { subject, pending, begun: false, outcome: None }
    }

    pub(crate) fn subject(&self) -> &Target {
        &self.subject
    }

    /// The outcome of the request. `None`: the request has not ended.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Handles an event. Returns the step of this request that it means, if the event concerns it.
    pub(crate) fn handle(&mut self, happened: &Happened<P>) -> Option<Step> {
        if self.outcome.is_some() {
            return None;
        }
        let mine = |pending: &P| *pending == self.pending;
        match happened {
            Happened::Begun { pending, .. } if mine(pending) => {
                self.begun = true;
                Some(Step::Begun)
            }
            // A later request for the same subject replaces this one, perhaps before any event of
            // this one.
            Happened::Begun { subject, pending } if *subject == self.subject && *pending > self.pending => {
                Some(self.end(Outcome::Replaced))
            }
            Happened::KeyMade { pending } if mine(pending) => Some(Step::KeyMade),
            Happened::KeyNotMade { pending, reason } if mine(pending) => {
                Some(Step::KeyNotMade { reason: reason.clone() })
            }
            Happened::Sent { pending } if mine(pending) => Some(Step::Sent),
            Happened::Accepted { pending, again } if mine(pending) => {
                Some(Step::Accepted { again: Some(*again) })
            }
            Happened::NotAnswered { pending } if mine(pending) => Some(Step::NotAnswered),
            // An end before this request began is the end of the request before it.
            Happened::Ended { subject, end } if *subject == self.subject && self.begun => {
                Some(self.end((*end).into()))
            }
            _ => None,
        }
    }

    fn end(&mut self, outcome: Outcome) -> Step {
        self.outcome = Some(outcome);
        Step::Ended(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(happened: &[Happened<u32>], steps: &[Step], outcome: Option<Outcome>) {
        let mut followed = Followed::new(Target::Station, 7);
        let told: Vec<_> = happened.iter().filter_map(|happened| followed.handle(happened)).collect();
        assert_eq!((told.as_slice(), followed.outcome()), (steps, outcome));
    }

    fn begun(pending: u32) -> Happened<u32> {
        Happened::Begun { subject: Target::Station, pending }
    }

    fn ended(end: End) -> Happened<u32> {
        Happened::Ended { subject: Target::Station, end }
    }

    #[test]
    fn a_request_is_followed_from_its_key_to_its_certificate() {
        let again: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a date-time");
        check(
            &[
                ended(End::Replaced),
                begun(7),
                Happened::KeyMade { pending: 7 },
                Happened::Sent { pending: 7 },
                Happened::Accepted { pending: 7, again },
                ended(End::Certificate),
                ended(End::Rejected),
            ],
            &[
                Step::Begun,
                Step::KeyMade,
                Step::Sent,
                Step::Accepted { again: Some(again) },
                Step::Ended(Outcome::Certificate),
            ],
            Some(Outcome::Certificate),
        );
    }

    #[test]
    fn others_are_left_alone_and_a_later_one_takes_its_place() {
        let other = Target::Vehicle { secc_id: "A".to_owned() };
        check(
            &[
                begun(6),
                Happened::KeyMade { pending: 6 },
                Happened::Begun { subject: other.clone(), pending: 8 },
                begun(7),
                Happened::Ended { subject: other, end: End::Rejected },
            ],
            &[Step::Begun],
            None,
        );
        check(&[ended(End::Replaced), begun(8)], &[Step::Ended(Outcome::Replaced)], Some(Outcome::Replaced));
    }
}
