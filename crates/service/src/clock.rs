//! The time of day as a value that is passed around, so that a test can move it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};

/// Tells the time. Cloning is cheap, and clones of a manual clock move together.
///
/// Times are whole microseconds, because PostgreSQL stores no finer: an instant that was written to the
/// database compares equal when it is read back.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Manual(Arc<Mutex<DateTime<Utc>>>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until it is moved.
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self(Source::Manual(Arc::new(Mutex::new(start))))
    }

    /// The current time, to the microsecond.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Source::System => system_now(),
            Source::Manual(time) => *lock(time),
        }
        .trunc_subsecs(6)
    }

    /// Moves a manual clock, and all its clones, forward.
    ///
    /// # Panics
    /// On the system clock, which nobody may move.
    pub fn advance(&self, by: Duration) {
        let mut time = self.manual_time();
        *time += by;
    }

    /// Puts a manual clock, and all its clones, to `time`, which may lie in its past.
    ///
    /// # Panics
    /// On the system clock, which nobody may move.
    pub fn set(&self, time: DateTime<Utc>) {
        *self.manual_time() = time;
    }

    fn manual_time(&self) -> MutexGuard<'_, DateTime<Utc>> {
        match &self.0 {
            Source::Manual(time) => lock(time),
            Source::System => panic!("only a manual clock can be moved"),
        }
    }
}

fn lock(time: &Mutex<DateTime<Utc>>) -> MutexGuard<'_, DateTime<Utc>> {
    time.lock()
        .expect("adding to a time that overflows is the only way to panic under this lock")
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everything else takes as an argument"
)]
fn system_now() -> DateTime<Utc> {
    Utc::now()
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn noon() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap()
    }

    #[test]
    fn a_manual_clock_stands_still_until_it_is_moved_and_its_clones_move_with_it() {
        let clock = Clock::manual(noon());
        let clone = clock.clone();
        assert_eq!(clock.now(), noon());
        clock.advance(Duration::from_secs(36 * 3600));
        assert_eq!(clone.now().to_rfc3339(), "2026-03-03T00:00:00+00:00");
        clone.set(noon());
        assert_eq!(clock.now(), noon());
    }

    #[test]
    fn times_are_whole_microseconds_as_the_database_stores_them() {
        let clock = Clock::manual(noon());
        clock.advance(Duration::from_nanos(1_999));
        assert_eq!(clock.now().to_rfc3339(), "2026-03-01T12:00:00.000001+00:00");
        assert_eq!(Clock::system().now().timestamp_subsec_nanos() % 1_000, 0);
    }

    #[test]
    fn the_system_clock_agrees_with_the_operating_system() {
        let date = std::process::Command::new("date")
            .args(["-u", "+%s"])
            .output()
            .unwrap();
        let from_os: i64 = String::from_utf8(date.stdout).unwrap().trim().parse().unwrap();
        assert!((Clock::system().now().timestamp() - from_os).abs() < 60);
    }

    #[test]
    #[should_panic(expected = "only a manual clock can be moved")]
    fn the_system_clock_cannot_be_moved() {
        Clock::system().advance(Duration::from_secs(1));
    }
}
