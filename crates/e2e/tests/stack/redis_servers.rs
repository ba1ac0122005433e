//! Redis servers for tests: primaries, replicas, Sentinels, clusters, on free loopback ports with their files in the test's directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;
use e2e::program::Program;
use e2e::{free_port, tools, wait_for};

/// The programs.
pub(crate) struct Tools {
    server: PathBuf,
    cli: PathBuf,
}

impl Tools {
    /// `None` after saying what is not there.
    pub(crate) fn find() -> Option<Self> {
        Some(Self { server: tools::redis_server()?, cli: tools::redis_cli()? })
    }

    /// Whether the server was built with TLS.
    pub(crate) fn has_tls(&self) -> bool {
        let mut command = Command::new(&self.server);
        let output = command.args(["--tls-port", "0", "--port", "x"]).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        !String::from_utf8_lossy(&text).contains("tls-port")
    }

    /// A server with its files in `DIRECTORY/NAME`.
    pub(crate) fn start(&self, name: &str, directory: &Path, flags: &[&str]) -> Redis {
        self.start_at(free_port(), name, directory, flags)
    }

    /// The same on this port.
    pub(crate) fn start_at(&self, port: u16, name: &str, directory: &Path, flags: &[&str]) -> Redis {
        let files = directory.join(name);
        fs::create_dir_all(&files).unwrap();
        let mut command = Command::new(&self.server);
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--daemonize", "no"]);
        command.args(["--save", "", "--appendonly", "no"]).arg("--dir").arg(&files).args(flags);
        let mut program = Program::start(name, &mut command, directory);
        let address = format!("127.0.0.1:{port}");
        program.wait_until_listening(&address);
        Redis { program, cli: self.cli.clone(), address, port, login: Vec::new() }
    }

    /// A Sentinel that watches `primary` as `mymaster`.
    pub(crate) fn sentinel(&self, directory: &Path, primary: &Redis) -> Redis {
        let port = free_port();
        let file = directory.join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor mymaster 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds mymaster 5000\n",
            directory.display(),
            primary.port
        );
        fs::write(&file, text).unwrap();
        let mut command = Command::new(&self.server);
        command.arg(&file).arg("--sentinel");
        let mut program = Program::start("sentinel", &mut command, directory);
        let address = format!("127.0.0.1:{port}");
        program.wait_until_listening(&address);
        Redis { program, cli: self.cli.clone(), address, port, login: Vec::new() }
    }

    /// Three primaries that are a cluster.
    pub(crate) fn cluster(&self, directory: &Path) -> Vec<Redis> {
        let nodes: Vec<Redis> = (0..3)
            .map(|n| {
                // The bus has a port of its own: not ten thousand above, which may be too high.
                let bus = free_port().to_string();
                let flags = ["--cluster-enabled", "yes", "--cluster-port", &bus];
                self.start(&format!("node{n}"), directory, &flags)
            })
            .collect();
        let addresses: Vec<&str> = nodes.iter().map(|n| n.address.as_str()).collect();
        let mut command = Command::new(&self.cli);
        command.args(["--cluster", "create"]).args(&addresses).arg("--cluster-yes");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        for node in &nodes {
            wait_for("the cluster", Duration::from_secs(30), || {
                let info = node.run(&["CLUSTER", "INFO"]);
                ensure!(
                    info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3"),
                    "{info}"
                );
                Ok(())
            });
        }
        nodes
    }
}

/// A running server.
pub(crate) struct Redis {
    pub(crate) program: Program,
    cli: PathBuf,
    pub(crate) address: String,
    pub(crate) port: u16,
    login: Vec<String>,
}

impl Redis {
    /// From now on commands are run as this user.
    pub(crate) fn log_in(&mut self, user: &str, password: &str) {
        self.login = ["--user", user, "--pass", password].map(str::to_owned).to_vec();
    }

    /// One command with `redis-cli`.
    pub(crate) fn run(&self, words: &[&str]) -> String {
        let mut command = Command::new(&self.cli);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]).args(&self.login).args(words);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{words:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// A field of INFO as a number.
    pub(crate) fn info(&self, field: &str) -> f64 {
        let text = self.run(&["INFO"]);
        let value = text.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
        value.unwrap_or_else(|| panic!("no {field}")).trim().parse().unwrap()
    }

    /// Keys of each type, a stream with a group, errors, slow commands: something in each family.
    pub(crate) fn fill(&self) {
        for command in [
            "CONFIG SET slowlog-log-slower-than 0",
            "CONFIG SET latency-monitor-threshold 1",
            "SET app:number 12.5",
            "SET app:text hello",
            "SET app:expiring soon EX 10000",
            "RPUSH app:list a b c",
            "SADD app:set a b",
            "ZADD app:zset 1 a 2 b",
            "HSET app:hash f v g w h x",
            "PFADD app:sketch a b c d",
            "SETRANGE app:long 5000 x",
            "XADD app:stream 1000-1 f v",
            "XADD app:stream 2000-1 f v",
            "XADD app:stream 3000-1 f v",
            "XGROUP CREATE app:stream workers 0",
            "XREADGROUP GROUP workers ada COUNT 2 STREAMS app:stream >",
            "XREADGROUP GROUP workers bob COUNT 1 STREAMS app:stream >",
            "XDEL app:stream 1000-1",
            "-n 3 SET session:1 a",
            "-n 3 SET session:2 b",
            "-n 3 SET other:1 c",
            "DEBUG SLEEP 0.02",
            "GET app:none",
        ] {
            self.run(&command.split(' ').collect::<Vec<_>>());
        }
        // Counted as an error.
        let _ = self.run(&["LPUSH", "app:text", "x"]);
        self.run(&["CONFIG", "SET", "slowlog-log-slower-than", "1000000"]);
    }
}
