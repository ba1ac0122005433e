//! A PostgreSQL and a Redis server for dashboards to watch, with files in the test's directory and something to count.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;
use e2e::program::Program;
use e2e::{free_port, tools, wait_for};

/// A running server; stopped when dropped.
pub(crate) struct Database {
    _program: Program,
    pub(crate) address: String,
    /// Files outside of the test's directory.
    files: Option<PathBuf>,
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(files) = &self.files {
            // What is left over is the system's to clean.
            let _ = fs::remove_dir_all(files);
        }
    }
}

/// A Redis server with keys, hits and misses; `None` after saying that there is no such program.
pub(crate) fn redis(directory: &Path) -> Option<Database> {
    let program = tools::redis_server()?;
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "60 1"]);
    command.args(["--maxmemory", "64mb", "--dir"]).arg(directory);
    let mut program = Program::start("redis", &mut command, directory);
    program.wait_until_listening(&address);
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let commands: &[u8] =
        b"SET a 1\r\nSET b 2 EX 1000\r\nGET a\r\nGET nothing\r\nLPUSH a x\r\nSAVE\r\nQUIT\r\n";
    stream.write_all(commands).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert!(answers.contains("WRONGTYPE") && answers.ends_with("+OK\r\n+OK\r\n"), "{answers}");
    Some(Database { _program: program, address, files: None })
}

/// A PostgreSQL server that lets `postgres` in without a password; `None` after saying what is missing.
pub(crate) fn postgresql(directory: &Path) -> Option<Database> {
    let programs = tools::postgres_bin_dir()?;
    // The server refuses to run as root, and then the other user must reach its files.
    let user = if fs::metadata("/proc/self").unwrap().uid() == 0 {
        let Some(user) = user_of("postgres") else {
            tools::skipped("root cannot run PostgreSQL, and there is no user postgres");
            return None;
        };
        Some(user)
    } else {
        None
    };
    let files = std::env::temp_dir().join(format!("vigie-e2e-postgres-{}", free_port()));
    fs::create_dir_all(&files).unwrap();
    if let Some((uid, gid)) = user {
        std::os::unix::fs::chown(&files, Some(uid), Some(gid)).unwrap();
    }
    let as_user = |name: &str| {
        let mut command = Command::new(programs.join(name));
        command.current_dir(&files);
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        command
    };
    let data = files.join("data");
    let mut initdb = as_user("initdb");
    initdb.args(["-U", "postgres", "-A", "trust", "--no-sync", "-D"]).arg(&data);
    let output = initdb.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let mut command = as_user("postgres");
    command.arg("-D").arg(&data).args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
    command.args(["-c", "fsync=off", "-c"]).arg(format!("unix_socket_directories={}", files.display()));
    let mut program = Program::start("postgres", &mut command, directory);
    program.wait_until_listening(&address);
    wait_for("PostgreSQL to take connections", Duration::from_secs(30), || {
        ensure!(program.log().contains("ready to accept connections"), "{}", program.log());
        Ok(())
    });
    Some(Database { _program: program, address, files: Some(files) })
}

fn user_of(name: &str) -> Option<(u32, u32)> {
    let text = fs::read_to_string("/etc/passwd").ok()?;
    let mut fields = text.lines().map(|l| l.split(':')).find(|f| f.clone().next() == Some(name))?.skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}
