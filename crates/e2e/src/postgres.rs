//! PostgreSQL servers of a test: initialised, started, replicated, and gone afterwards.
//!
//! The server refuses to run as root, so a test that is root starts it as `postgres` or `nobody`, in a directory of the system's
//! temporary ones, which that user can reach.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::ensure;

use crate::program::Program;
use crate::{free_port, wait_for};

/// The superuser's password.
pub const PASSWORD: &str = "pw-of-the-e2e-tests";

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    directory: PathBuf,
    /// Its port on 127.0.0.1.
    pub port: u16,
    program: Option<Program>,
    logs: PathBuf,
    name: String,
}

impl Postgres {
    /// A new server with further lines for its `postgresql.conf`. Logs go to `logs/NAME.log`.
    ///
    /// # Panics
    /// Where it cannot be made or started.
    pub fn start(bin: &Path, logs: &Path, name: &str, settings: &str) -> Self {
        let mut server = Self::new(bin, logs, name);
        let password_file = server.directory.join("password");
        fs::write(&password_file, PASSWORD).expect("the directory is ours");
        let data = server.data();
        let mut initdb = server.command("initdb");
        initdb.args([
            "--auth=scram-sha-256",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        run(initdb.arg("--pwfile").arg(&password_file).arg("--pgdata").arg(&data));
        server.configure(settings);
        server.run();
        server
    }

    /// A standby of this one, which streams by the slot `slot`.
    ///
    /// # Panics
    /// Where it cannot be made or started.
    pub fn standby(&self, name: &str, slot: &str, settings: &str) -> Self {
        let mut standby = Self::new(&self.bin, &self.logs, name);
        let data = standby.data();
        let mut copy = standby.command("pg_basebackup");
        copy.args(["--host=127.0.0.1", "--username=postgres", "--checkpoint=fast", "--no-sync"]);
        copy.args(["--write-recovery-conf", "--create-slot"]).arg(format!("--slot={slot}"));
        run(copy.arg(format!("--port={}", self.port)).arg("--pgdata").arg(&data));
        standby.configure(settings);
        standby.run();
        standby
    }

    fn new(bin: &Path, logs: &Path, name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("e2e-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&directory));
        fs::create_dir_all(&directory).expect("the temporary directory is writable");
        let server = Self {
            bin: bin.to_owned(),
            directory,
            port: free_port(),
            program: None,
            logs: logs.to_owned(),
            name: name.to_owned(),
        };
        if let Some(user) = other_user() {
            run(Command::new("chown").arg(user).arg(&server.directory));
        }
        server
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn configure(&self, settings: &str) {
        let file = self.data().join("postgresql.conf");
        let mut text = fs::read_to_string(&file).expect("initdb wrote it");
        text.push_str(&format!(
            "\nlisten_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\nfsync = off\n\
             shared_buffers = 16MB\n{settings}\n",
            self.port,
            self.directory.display()
        ));
        fs::write(&file, text).expect("the test may write it");
    }

    fn run(&mut self) {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data());
        let program = Program::start(&self.name, &mut command, &self.logs);
        self.program = Some(program);
        wait_for("PostgreSQL to take connections", Duration::from_secs(60), || {
            let answer = self.psql("postgres", "SELECT 1").output()?;
            ensure!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
            Ok(())
        });
    }

    /// Stops it; a connection is refused from then on.
    ///
    /// # Panics
    /// Where it does not stop.
    pub fn stop(&mut self) {
        if let Some(mut program) = self.program.take() {
            program.signal("INT");
            program.wait(Duration::from_secs(30));
        }
    }

    /// Starts it again.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start_again(&mut self) {
        self.run();
    }

    /// Puts a file into its directory that only the server may read, and gives its path.
    ///
    /// # Panics
    /// Where that cannot be done.
    pub fn install(&self, name: &str, content: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.directory.join(name);
        fs::write(&path, content).expect("the directory is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the file is ours");
        if let Some(user) = other_user() {
            run(Command::new("chown").arg(user).arg(&path));
        }
        path
    }

    /// The rows of a query as psql shows them unaligned.
    ///
    /// # Panics
    /// Where it fails.
    pub fn sql(&self, database: &str, text: &str) -> String {
        let answer = run(&mut self.psql(database, text));
        String::from_utf8_lossy(&answer.stdout).trim_end().to_owned()
    }

    /// psql on its way to run a text; what it opens is held as long as it runs.
    pub fn psql(&self, database: &str, text: &str) -> Command {
        let mut command = Command::new(self.bin.join("psql"));
        command.env("PGPASSWORD", PASSWORD).args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
        command.args(["-h", "127.0.0.1", "-U", "postgres", "-p"]).arg(self.port.to_string());
        command.args(["-d", database, "-c", text]);
        command
    }

    /// A data source name with the password.
    pub fn dsn(&self, database: &str) -> String {
        format!("postgresql://postgres:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// One of the server's programs, as the user that may run it.
    fn command(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = match other_user() {
            Some(user) => {
                let mut command = Command::new("setpriv");
                let (user, group) = user.split_once(':').expect("both are there");
                command.arg(format!("--reuid={user}")).arg(format!("--regid={group}"));
                command.arg("--clear-groups").arg(program);
                command
            }
            None => Command::new(program),
        };
        command.current_dir(&self.directory).env("PGPASSWORD", PASSWORD);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut program) = self.program.take() {
            program.signal("QUIT");
            program.wait(Duration::from_secs(30));
        }
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// Whom the server runs as where the test is root: numbers of user and group.
fn other_user() -> Option<String> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of = |name: &str| {
        let line = accounts.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let mut fields = line.split(':').skip(1);
        Some(format!("{}:{}", fields.next()?, fields.next()?))
    };
    if is_root { of("postgres").or_else(|| of("nobody")) } else { None }
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
