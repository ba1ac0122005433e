//! A bound on guessed passwords: five wrong ones per login in five minutes, as Grafana's brute force protection.

use std::collections::HashMap;

use parking_lot::Mutex;

/// Wrong passwords allowed per login and window.
const MAX_FAILURES: usize = 5;

/// The window.
const WINDOW_S: i64 = 5 * 60;

/// Logins remembered; beyond it the ones without recent failures are forgotten, and if there are none new ones are refused.
const MAX_LOGINS: usize = 10_000;

/// Counts failures by login.
#[derive(Debug, Default)]
pub(crate) struct Limiter(Mutex<HashMap<String, Vec<i64>>>);

impl Limiter {
    /// Whether another attempt may be made.
    pub(crate) fn allows(&self, login: &str, now_s: i64) -> bool {
        let mut all = self.0.lock();
        match all.get_mut(login) {
            Some(failures) => {
                failures.retain(|&t| now_s - t < WINDOW_S);
                failures.len() < MAX_FAILURES
            }
            None => true,
        }
    }

    /// Notes a wrong password.
    pub(crate) fn failed(&self, login: &str, now_s: i64) {
        let mut all = self.0.lock();
        if all.len() >= MAX_LOGINS && !all.contains_key(login) {
            all.retain(|_, failures| failures.iter().any(|&t| now_s - t < WINDOW_S));
            if all.len() >= MAX_LOGINS {
                return;
            }
        }
        all.entry(login.to_owned()).or_default().push(now_s);
    }

    /// Forgets a login's failures after a right password.
    pub(crate) fn succeeded(&self, login: &str) {
        self.0.lock().remove(login);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_close_the_door_for_five_minutes() {
        let limiter = Limiter::default();
        for t in 0..5 {
            assert!(limiter.allows("a", t));
            limiter.failed("a", t);
        }
        assert!(!limiter.allows("a", 5) && limiter.allows("b", 5));
        assert!(limiter.allows("a", WINDOW_S));
        limiter.succeeded("a");
        assert!(limiter.allows("a", 5));
    }
}
