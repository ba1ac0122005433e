//! Sessions: 256-bit opaque tokens in a cookie, their hashes in the database.

use rusqlite::{OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, ErrorKind};
use crate::users::{Database, User, user};

/// The cookie's name, as Grafana's.
pub(crate) const COOKIE: &str = "grafana_session";

/// A session ends so long after it was last used: 7 days, as Grafana.
const IDLE_S: i64 = 7 * 86_400;

/// And so long after the login: 30 days, as Grafana.
pub(crate) const LIFETIME_S: i64 = 30 * 86_400;

/// The last use is written at most this often, so that a page's forty requests do not make forty writes.
const SEEN_GRANULARITY_S: i64 = 60;

/// What is stored of a token.
pub(crate) type TokenHash = [u8; 32];

impl Database {
    /// Starts a session and returns its token, which is stored nowhere.
    pub(crate) fn start_session(&self, user: &User, now_s: i64) -> Result<String, Error> {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes)
            .map_err(|e| Error::new(ErrorKind::System, format!("no randomness: {e}")))?;
        let token: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let db = self.0.lock();
        db.execute(
            "DELETE FROM session WHERE created < ?1 OR seen < ?2",
            params![now_s - LIFETIME_S, now_s - IDLE_S],
        )?;
        db.execute(
            "INSERT INTO session (token, user, created, seen) VALUES (?1, ?2, ?3, ?3)",
            params![token_hash(&token), user.id, now_s],
        )?;
        Ok(token)
    }

    /// The user of a live session.
    pub(crate) fn session_user(&self, token: &str, now_s: i64) -> Result<Option<User>, Error> {
        let hash = token_hash(token);
        let db = self.0.lock();
        let found = db
            .query_row(
                "SELECT u.id, u.login, u.role, u.must_change, s.seen FROM session s JOIN user u ON u.id = s.user
                 WHERE s.token = ?1 AND s.created >= ?2 AND s.seen >= ?3",
                params![hash, now_s - LIFETIME_S, now_s - IDLE_S],
                |r| Ok((user(r)?, r.get::<_, i64>(4)?)),
            )
            .optional()?;
        let Some((user, seen)) = found else { return Ok(None) };
        if now_s - seen >= SEEN_GRANULARITY_S {
            db.execute("UPDATE session SET seen = ?1 WHERE token = ?2", params![now_s, hash])?;
        }
        Ok(Some(user))
    }

    /// Ends a session.
    pub(crate) fn end_session(&self, token: &str) -> Result<(), Error> {
        self.0.lock().execute("DELETE FROM session WHERE token = ?1", params![token_hash(token)])?;
        Ok(())
    }
}

pub(crate) fn token_hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end_by_age_idleness_logout_and_password_change() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(dir.path(), "admin", true, 0).unwrap();
        assert!(db.authenticate("admin", "wrong").unwrap().is_none());
        assert!(db.authenticate("nobody", "admin").unwrap().is_none());
        let user = db.authenticate("admin", "admin").unwrap().unwrap();
        assert!(user.must_change_password);
        let a = db.start_session(&user, 0).unwrap();
        let b = db.start_session(&user, 0).unwrap();
        assert!(db.session_user(&a, IDLE_S).unwrap().is_some());
        assert!(db.session_user(&b, IDLE_S + 1).unwrap().is_none(), "idle");
        assert!(db.session_user(&a, 2 * IDLE_S).unwrap().is_some(), "used in between");
        assert!(db.session_user("x", 0).unwrap().is_none());
        let b = db.start_session(&user, IDLE_S).unwrap();
        db.change_password(&user, "other", Some(&token_hash(&b))).unwrap();
        assert!(db.session_user(&a, IDLE_S).unwrap().is_none(), "ended by the change");
        assert!(!db.session_user(&b, IDLE_S).unwrap().unwrap().must_change_password);
        db.end_session(&b).unwrap();
        assert!(db.session_user(&b, IDLE_S).unwrap().is_none());
        drop(db);
        let db = Database::open(dir.path(), "admin", true, 9).unwrap();
        assert!(db.authenticate("admin", "admin").unwrap().is_none(), "the change survives");
        assert!(db.authenticate("admin", "other").unwrap().is_some());
    }
}
