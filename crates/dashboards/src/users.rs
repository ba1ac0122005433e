//! Users and their passwords, in SQLite beside the sessions.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::error::{Error, ErrorKind};

/// The shortest password taken, as Grafana's.
pub(crate) const MIN_PASSWORD_CHARS: usize = 4;

/// The longest: argon2 reads all of it.
pub(crate) const MAX_PASSWORD_BYTES: usize = 1024;

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Admin,
    Editor,
    Viewer,
}

impl Role {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "Admin",
            Self::Editor => "Editor",
            Self::Viewer => "Viewer",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "Admin" => Self::Admin,
            "Editor" => Self::Editor,
            _ => Self::Viewer,
        }
    }
}

/// A user.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) login: String,
    pub(crate) role: Role,
    pub(crate) must_change_password: bool,
}

/// The database of users and sessions.
#[derive(Debug)]
pub(crate) struct Database(pub(crate) Mutex<Connection>);

impl Database {
    /// Opens or creates it. A new one holds the user `admin` with `initial_password`, to be changed at the first login if
    /// `must_change`.
    pub(crate) fn open(
        dir: &Path,
        initial_password: &str,
        must_change: bool,
        now_s: i64,
    ) -> Result<Self, Error> {
        let what =
            |e: std::io::Error| Error::new(ErrorKind::Database, format!("create {}: {e}", dir.display()));
        // Hashes of passwords and sessions are nobody else's business.
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(what)?;
        let db = Connection::open(dir.join("dashboards.db"))?;
        // A user who has changed the password must not find the old one after a power cut.
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             CREATE TABLE IF NOT EXISTS user (
               id INTEGER PRIMARY KEY, login TEXT NOT NULL UNIQUE, password TEXT NOT NULL, role TEXT NOT NULL,
               must_change INTEGER NOT NULL, created INTEGER NOT NULL);
             CREATE TABLE IF NOT EXISTS session (
               token BLOB PRIMARY KEY, user INTEGER NOT NULL REFERENCES user(id) ON DELETE CASCADE,
               created INTEGER NOT NULL, seen INTEGER NOT NULL);",
        )?;
        let users: i64 = db.query_row("SELECT count(*) FROM user", [], |r| r.get(0))?;
        if users == 0 {
            db.execute(
                "INSERT INTO user (login, password, role, must_change, created) VALUES ('admin', ?1, 'Admin', ?2, ?3)",
                params![hash(initial_password)?, must_change, now_s],
            )?;
        }
        Ok(Self(Mutex::new(db)))
    }

    /// The user with this login and password. Takes as long for unknown users as for known ones.
    pub(crate) fn authenticate(&self, login: &str, password: &str) -> Result<Option<User>, Error> {
        let row = self
            .0
            .lock()
            .query_row(
                "SELECT id, login, role, must_change, password FROM user WHERE login = ?1",
                [login],
                |r| Ok((user(r)?, r.get::<_, String>(4)?)),
            )
            .optional()?;
        // Hashing happens outside the lock.
        match row {
            Some((user, stored)) => Ok(verify(password, &stored).then_some(user)),
            None => {
                hash(password)?;
                Ok(None)
            }
        }
    }

    /// Changes a password and ends the user's other sessions.
    pub(crate) fn change_password(&self, user: &User, new: &str, keep: Option<&[u8]>) -> Result<(), Error> {
        let hashed = hash(new)?;
        let mut db = self.0.lock();
        let tx = db.transaction()?;
        tx.execute("UPDATE user SET password = ?1, must_change = 0 WHERE id = ?2", params![hashed, user.id])?;
        tx.execute("DELETE FROM session WHERE user = ?1 AND token IS NOT ?2", params![user.id, keep])?;
        tx.commit()?;
        Ok(())
    }
}

/// The first four columns `id, login, role, must_change`.
pub(crate) fn user(row: &rusqlite::Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get(0)?,
        login: row.get(1)?,
        role: Role::parse(&row.get::<_, String>(2)?),
        must_change_password: row.get(3)?,
    })
}

/// What is wrong with a new password, if anything.
pub(crate) fn check_new_password(new: &str, old: &str) -> Result<(), &'static str> {
    if new.chars().count() < MIN_PASSWORD_CHARS {
        return Err("New password is too short");
    }
    if new.len() > MAX_PASSWORD_BYTES {
        return Err("New password is too long");
    }
    if new == old {
        return Err("New password must differ from the old one");
    }
    Ok(())
}

fn hash(password: &str) -> Result<String, Error> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|h| h.to_string())
        .map_err(|e| Error::new(ErrorKind::System, format!("hash a password: {e}")))
}

fn verify(password: &str, stored: &str) -> bool {
    PasswordHash::new(stored)
        .is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
}
