//! Programs under test: started with their output in a log file, never left behind.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};

use crate::{tools, wait_for};

/// A fresh directory `target/e2e/NAME` for one test's files and logs.
pub fn test_directory(name: &str) -> PathBuf {
    let directory = tools::target_directory().join("e2e").join(name);
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            panic!("{}: {error}", directory.display())
        }
        _ => {}
    }
    fs::create_dir_all(&directory).expect("target is writable");
    directory
}

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts `command` with both outputs appended to `DIRECTORY/NAME.log`.
    ///
    /// # Panics
    /// Where it cannot be started.
    pub fn start(name: &str, command: &mut Command, directory: &Path) -> Self {
        let log = directory.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("the log can be written");
        let errors = file.try_clone().expect("a file handle can be cloned");
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name} ({:?}): {error}", command.get_program()));
        Self { name: name.to_owned(), child, log }
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it wrote so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn fail_if_ended(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => panic!("{} ended with {status}:\n{}", self.name, self.log()),
            None => Ok(()),
        }
    }

    /// Waits until something listens on `HOST:PORT`.
    ///
    /// # Panics
    /// Where the program ends, or half a minute passes.
    pub fn wait_until_listening(&mut self, address: &str) {
        let what = format!("{} on {address}", self.name);
        wait_for(&what, Duration::from_secs(30), || {
            self.fail_if_ended()?;
            TcpStream::connect(address).map(drop).with_context(|| format!("log:\n{}", self.log()))
        });
    }

    /// Waits until `text` is in the log.
    ///
    /// # Panics
    /// Where the program ends, or half a minute passes.
    pub fn wait_until_logged(&mut self, text: &str) {
        let what = format!("`{text}` in the log of {}", self.name);
        wait_for(&what, Duration::from_secs(30), || {
            if self.log().contains(text) {
                return Ok(());
            }
            self.fail_if_ended()?;
            Err(anyhow!("log:\n{}", self.log()))
        });
    }

    /// `kill -SIGNAL`.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(format!("-{signal}")).arg(self.id().to_string()).status();
        assert!(status.expect("kill can be run").success(), "cannot send {signal} to {}", self.name);
    }

    /// `kill -9`, as a crash would.
    pub fn kill(mut self) {
        self.child.kill().expect("our own child can be killed");
        self.child.wait().expect("our own child can be waited for");
    }

    /// SIGTERM, then its exit status.
    ///
    /// # Panics
    /// Where it has not ended within 20 seconds.
    pub fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait(Duration::from_secs(20))
    }

    /// Its exit status.
    ///
    /// # Panics
    /// Where it has not ended within `patience`.
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().expect("our own child can be waited for") {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "{} still runs after {patience:?}:\n{}",
                self.name,
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
