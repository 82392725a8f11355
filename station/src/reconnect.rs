//! The certificate that a station presents when it connects, and the root on which it relies.

use ocpp_transport::Credential;

/// The certificate with which the station connects: the newest. If the CSMS refuses it, the station
/// alternates between the newest and the one that worked before, so that a renewed certificate
/// never strands the station (A02.FR.28 with B10.FR.08).
///
/// `None`: the station connects with its password. It does so as long as it has no certificate.
/// Until the first certificate has worked, it alternates between that certificate and the password,
/// because the password is what worked before (B10.FR.07).
#[must_use]
pub fn presented<T>(
    newest_first: &[T],
    is_in_use: impl Fn(&T) -> bool,
    is_early: impl Fn(&T) -> bool,
    credential: Credential,
) -> Option<&T> {
    match credential {
        Credential::Newest => newest_first.iter().find(|own| !is_early(own)).or(newest_first.first()),
        Credential::LastThatWorked => newest_first.iter().find(|own| is_in_use(own)),
    }
}

/// The CSMS root on which an attempt relies. There is a choice if the CSMS has installed a root
/// that no connection has proved yet (M05.FR.12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CsmsRoot {
    /// The newest root: all but the fallback.
    #[default]
    Present,
    /// The root before it.
    Fallback,
}

/// The reason why an attempt failed, as far as it concerns roots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RootFailure {
    /// The certificate of the CSMS was not valid under the root.
    NotProved,
    /// Another reason, which is no evidence about the root.
    Other,
}

/// Chooses between the present CSMS root and the fallback (M05.FR.14–16). Call [`RootChoice::root`]
/// before each attempt, then [`RootChoice::handle_failed`] or [`RootChoice::handle_connected`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootChoice {
    /// The slot of the network profile that worked last.
    worked: Option<u32>,
    /// Whether that slot was tried since the last connection. If not, an attempt on another slot is
    /// part of a migration.
    tried_worked: bool,
    /// The root for the next attempt that is not part of a migration.
    next: CsmsRoot,
}

impl RootChoice {
    /// The choice of a station that starts. `worked` is the slot of its last connection, if any.
    #[must_use]
    pub fn new(worked: Option<u32>) -> Self {
        Self { worked, ..Self::default() }
    }

    /// Keeps the slot of the last connection only if `exists` returns true for it: the station
    /// cannot return to a slot without a profile.
    pub fn retain(&mut self, exists: impl FnOnce(u32) -> bool) {
        self.worked = self.worked.filter(|worked| exists(*worked));
    }

    /// The root for an attempt by the profile in `slot`. Without a fallback there is no choice.
    #[must_use]
    pub fn root(&self, slot: u32, has_fallback: bool) -> CsmsRoot {
        // M05.FR.15: the new root must prove a new CSMS. The new CSMS gets as many attempts as any
        // profile.
        if has_fallback && !self.is_migration(slot) { self.next } else { CsmsRoot::Present }
    }

    /// An attempt that relied on `root` failed.
    pub fn handle_failed(&mut self, slot: u32, root: CsmsRoot, failure: RootFailure) {
        if self.is_migration(slot) {
            // M05.FR.16: the old root proves the CSMS to which the station returns.
            self.next = CsmsRoot::Fallback;
            return;
        }
        self.tried_worked = true;
        self.next = match (root, failure) {
            // M05.FR.14
            (CsmsRoot::Present, RootFailure::NotProved) => CsmsRoot::Fallback,
            // The roots alternate, because the CSMS may move to the new root meanwhile.
            (CsmsRoot::Fallback, RootFailure::NotProved) => CsmsRoot::Present,
            (root, RootFailure::Other) => root,
        };
    }

    /// A connection is up.
    pub fn handle_connected(&mut self, slot: u32) {
        *self = Self::new(Some(slot));
    }

    fn is_migration(&self, slot: u32) -> bool {
        !self.tried_worked && self.worked.is_some_and(|worked| worked != slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The roots of failing attempts on these slots.
    fn roots(choice: &mut RootChoice, attempts: &[(u32, RootFailure)]) -> Vec<CsmsRoot> {
        let mut roots = Vec::new();
        for (slot, failure) in attempts {
            let root = choice.root(*slot, true);
            roots.push(root);
            choice.handle_failed(*slot, root, *failure);
        }
        roots
    }

    #[test]
    fn m05_fr_14_tc_m_31_the_next_attempt_tries_the_fallback() {
        use RootFailure::{NotProved, Other};
        let mut choice = RootChoice::new(Some(1));
        let (present, fallback) = (CsmsRoot::Present, CsmsRoot::Fallback);
        assert_eq!(roots(&mut choice, &[(1, NotProved); 3]), [present, fallback, present]);
        choice.handle_connected(1);
        // An unreachable CSMS is no evidence about its root.
        assert_eq!(
            roots(&mut choice, &[(1, Other), (1, NotProved), (1, Other)]),
            [present, present, fallback]
        );
        assert_eq!(choice.root(1, true), fallback);
        assert_eq!(choice.root(1, false), present, "there is none");
        // Whatever root the connection relied on, the next connection tries the new root.
        choice.handle_connected(1);
        assert_eq!(choice.root(1, true), present);
        // A station that was never connected is not migrating between CSMSs.
        assert_eq!(roots(&mut RootChoice::new(None), &[(2, NotProved); 2]), [present, fallback]);
    }

    #[test]
    fn m05_fr_15_m05_fr_16_tc_b_47_migration_by_the_new_root_and_back_by_the_old_one() {
        use RootFailure::{NotProved, Other};
        let (present, fallback) = (CsmsRoot::Present, CsmsRoot::Fallback);
        for failure in [NotProved, Other] {
            let mut choice = RootChoice::new(Some(1));
            let attempts = [(2, failure), (2, failure), (2, failure), (1, Other)];
            assert_eq!(roots(&mut choice, &attempts), [present, present, present, fallback]);
        }
        // TC_B_50: the station moved, and the new CSMS is the known one now.
        let mut choice = RootChoice::new(Some(1));
        choice.handle_connected(2);
        assert_eq!(roots(&mut choice, &[(2, NotProved), (2, NotProved)]), [present, fallback]);
    }

    #[test]
    fn m05_fr_14_a_profile_that_is_gone_cannot_be_gone_back_to() {
        let mut choice = RootChoice::new(Some(1));
        choice.retain(|slot| slot != 1);
        let (present, fallback) = (CsmsRoot::Present, CsmsRoot::Fallback);
        assert_eq!(roots(&mut choice, &[(2, RootFailure::NotProved); 2]), [present, fallback]);
    }

    #[test]
    fn m05_fr_14_another_profile_after_a_loss_is_no_migration() {
        let mut choice = RootChoice::new(Some(1));
        let attempts = [(1, RootFailure::Other), (2, RootFailure::NotProved), (2, RootFailure::NotProved)];
        let expected = [CsmsRoot::Present, CsmsRoot::Present, CsmsRoot::Fallback];
        assert_eq!(roots(&mut choice, &attempts), expected);
    }

    /// The newest and the last that worked; `in use` is the name of the certificate in use here.
    fn both<'a>(newest_first: &[&'a str]) -> [Option<&'a str>; 2] {
        [Credential::Newest, Credential::LastThatWorked].map(|credential| {
            presented(newest_first, |own| *own == "in use", |own| *own == "early", credential).copied()
        })
    }

    #[test]
    fn a02_fr_28_renewed_certificate_and_the_one_in_use() {
        let (renewed, in_use) = (Some("renewed"), Some("in use"));
        assert_eq!(both(&["renewed", "in use"]), [renewed, in_use]);
        assert_eq!(both(&["renewed", "renewed earlier", "in use"]), [renewed, in_use]);
        assert_eq!(both(&["in use"]), [in_use; 2]);
        // A certificate that is not valid yet is tried only if there is no other.
        assert_eq!(both(&["early", "in use"]), [in_use; 2]);
        assert_eq!(both(&["early"]), [Some("early"), None]);
    }

    #[test]
    fn b10_fr_07_first_certificate_and_password_until_it_has_worked() {
        assert_eq!(both(&["first"]), [Some("first"), None]);
        assert_eq!(both(&[]), [None; 2]);
    }
}
