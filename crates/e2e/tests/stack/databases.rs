//! A PostgreSQL and a Redis server for dashboards to watch, with files in the test's directory and something to count.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use e2e::postgres::Postgres;
use e2e::program::Program;
use e2e::{free_port, tools};

/// A running Redis; stopped when dropped.
pub(crate) struct Redis {
    _program: Program,
    pub(crate) address: String,
}

/// A Redis server with keys, hits and misses; `None` after saying that there is no such program.
pub(crate) fn redis(directory: &Path) -> Option<Redis> {
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
    Some(Redis { _program: program, address })
}

/// A PostgreSQL server; `None` after saying that there is no such program.
pub(crate) fn postgresql(directory: &Path) -> Option<Postgres> {
    // Tests that run at once must not share its directory.
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    Some(Postgres::start(&tools::postgres_bin_dir()?, directory, &name, ""))
}
