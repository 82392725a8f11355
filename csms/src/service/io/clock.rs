//! The service's clocks: the system's, and one that is never set.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use certificates::UnixSeconds;
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use signer_pkcs11::Present;
use tokio::{sync::Notify, time::sleep};

use crate::{
    service::io::metrics as names,
    service::{
        clock::{Change, ClockWatch, Reading, Step},
        control::ClockStatus,
    },
    signing::serving::Times,
};

/// The clocks. All clones share them.
#[derive(Clone, Debug)]
pub(crate) struct ServiceClock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    started: Instant,
    state: Mutex<State>,
    /// Notified when decisions that depend on the clock have to be made again.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    watch: ClockWatch,
    /// The number of times that the clock was moved since the start.
    steps: u64,
    last_step: Option<Step>,
}

impl ServiceClock {
    /// `doubt`: for how long a clock that was moved is in doubt.
    pub(crate) fn new(doubt: Duration) -> Self {
        describe_counter!(names::CLOCK_STEPS, Unit::Count, "Times that the system's clock was moved");
        describe_gauge!(
            names::CLOCK_IN_DOUBT,
            Unit::Count,
            "1 while a clock that was moved is not trusted yet"
        );
        for direction in ["ahead", "back"] {
            counter!(names::CLOCK_STEPS, "direction" => direction).increment(0);
        }
        gauge!(names::CLOCK_IN_DOUBT).set(0);
        let started = Instant::now();
        let first = Reading { wall: SystemTime::now(), uptime: Duration::ZERO };
        let state = State { watch: ClockWatch::new(doubt, first), steps: 0, last_step: None };
        Self(Arc::new(Inner { started, state: Mutex::new(state), changed: Notify::new() }))
    }

    /// The present time, as far as it is known.
    pub(crate) fn times(&self) -> Times {
        let state = self.look();
        Times { present: state.watch.present(), believed: state.watch.believed() }
    }

    /// The distance of the other time from the clock in seconds; `None` if the clock is not in
    /// doubt.
    pub(crate) fn other_time(&self) -> Option<i64> {
        let state = self.look();
        let believed = state.watch.believed()?;
        Some(Step::between(state.watch.now(), believed).0)
    }

    /// Trusts the clock, because an operator confirms that it is right.
    pub(crate) fn believe(&self) {
        let mut state = self.look();
        if state.watch.believe() {
            gauge!(names::CLOCK_IN_DOUBT).set(0);
            tracing::warn!("the clock is trusted again, because an operator requested a signature");
            self.0.changed.notify_one();
        }
    }

    /// The state of the clock, for operators.
    pub(crate) fn status(&self) -> ClockStatus {
        let state = self.look();
        ClockStatus {
            now: state.watch.now().into(),
            steps: state.steps,
            last_step_seconds: state.last_step.map(|step| step.0),
            doubted_for_seconds: state.watch.doubted_for().map(|left| left.as_secs()),
            expected: state.watch.believed().map(UnixSeconds::from),
        }
    }

    /// Checks the clocks until the future is dropped.
    ///
    /// # Cancel safety
    /// Each call for the time checks the clocks too.
    pub(crate) async fn keep(&self) -> Infallible {
        loop {
            sleep(LOOK).await;
            drop(self.look());
        }
    }

    /// Returns after the clock was moved or is trusted again: once for each such event, also if no
    /// task waited for it.
    ///
    /// # Cancel safety
    /// No event is lost.
    pub(crate) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    fn look(&self) -> MutexGuard<'_, State> {
        // No holder of the lock can leave it half changed.
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Reading { wall: SystemTime::now(), uptime: self.0.started.elapsed() };
        if let Some(change) = state.watch.look(now) {
            self.handle(&mut state, change);
        }
        state
    }

    fn handle(&self, state: &mut State, change: Change) {
        match change {
            Change::Moved(Step(seconds)) => {
                tracing::warn!(
                    seconds,
                    "the system's clock was moved; everything that it decides is checked again"
                );
            }
            Change::Doubted(Step(seconds)) => {
                let doubted_for = state.watch.doubted_for().unwrap_or_default().as_secs();
                tracing::error!(
                    seconds,
                    doubted_for_seconds = doubted_for,
                    "the system's clock was moved, or the machine was suspended: until the clock returns or has kept its \
                     new time, whatever is signed is valid at the old and at the new time; set the clock if it is wrong"
                );
            }
            Change::Returned(Step(seconds)) => {
                tracing::warn!(
                    seconds,
                    "the system's clock was moved back to the time that was expected, and is trusted again"
                );
            }
            Change::Settled => {
                tracing::warn!("the system's clock has kept its new time, and is trusted again");
            }
        }
        if let Change::Moved(step) | Change::Doubted(step) | Change::Returned(step) = change {
            state.steps += 1;
            state.last_step = Some(step);
            let direction = if step.0 < 0 { "back" } else { "ahead" };
            counter!(names::CLOCK_STEPS, "direction" => direction).increment(1);
        }
        gauge!(names::CLOCK_IN_DOUBT).set(if matches!(change, Change::Doubted(_)) { 1 } else { 0 });
        self.0.changed.notify_one();
    }
}

impl signer_pkcs11::Clock for ServiceClock {
    fn present(&self) -> Present {
        self.times().present
    }
}

/// The time of the system's clock.
pub(crate) fn unix_now() -> UnixSeconds {
    SystemTime::now().into()
}

/// The interval between two checks of the clocks.
const LOOK: Duration = Duration::from_secs(1);
