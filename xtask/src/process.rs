//! Commands run to their end, and programs kept running until we stop.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::paths;

/// `program` in the repository's root.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(paths::root());
    command
}

/// `cargo` as this task was started by.
pub(crate) fn cargo() -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs it to its end, output to the terminal.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    println!("$ {}", shown(command));
    let status = command.status().with_context(|| format!("cannot run {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn note_interrupt(_: libc::c_int) {
    INTERRUPTED.store(true, Ordering::SeqCst);
}

/// From now on Ctrl-C and SIGTERM only set what [`interrupted`] tells.
#[expect(unsafe_code, reason = "std offers no signal handlers")]
pub(crate) fn catch_interrupts() {
    let handler = note_interrupt as extern "C" fn(libc::c_int);
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the handler only stores to an atomic, which is async-signal-safe.
        unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    }
}

/// Whether someone asked us to stop.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// A program that runs beside us; stopped when dropped.
pub(crate) struct Running {
    name: String,
    child: Child,
}

/// Where a program's output goes.
pub(crate) enum Output<'a> {
    /// To this file.
    File(&'a Path),
    /// To the terminal, each line under the program's name.
    Terminal,
}

impl Running {
    /// Starts it in a process group of its own, so that Ctrl-C reaches us first.
    pub(crate) fn start(name: &str, command: &mut Command, output: &Output<'_>) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).process_group(0);
        match output {
            Output::File(path) => {
                let file = File::create(path).with_context(|| path.display().to_string())?;
                command.stderr(file.try_clone()?).stdout(file);
            }
            Output::Terminal => {
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
            }
        }
        stop_with_parent(command);
        let mut child =
            command.spawn().with_context(|| format!("cannot start {name} ({})", shown(command)))?;
        if let Some(stdout) = child.stdout.take() {
            pass_on(name, BufReader::new(stdout));
        }
        if let Some(stderr) = child.stderr.take() {
            pass_on(name, BufReader::new(stderr));
        }
        Ok(Self { name: name.to_owned(), child })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails where it has ended.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended with {status}", self.name),
            None => Ok(()),
        }
    }

    /// Waits until it listens on `HOST:PORT`, half a minute at most.
    pub(crate) fn wait_until_listening(&mut self, address: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            self.check()?;
            if Instant::now() > deadline || interrupted() {
                bail!("{} does not listen on {address}", self.name);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Ends it as a crash would: SIGKILL.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().with_context(|| format!("cannot kill {}", self.name))?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, then waits until it has ended by itself.
    pub(crate) fn stop(mut self, patience: Duration) -> anyhow::Result<()> {
        self.check()?;
        terminate(&self.child);
        let deadline = Instant::now() + patience;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline || interrupted() {
                bail!("{} has not ended {} s after SIGTERM", self.name, patience.as_secs());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Running {
    /// SIGTERM, ten seconds to end, then SIGKILL.
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        terminate(&self.child);
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                println!("xtask: {} does not stop, killing it", self.name);
                drop(self.child.kill());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[expect(unsafe_code, reason = "std can only kill, not terminate")]
fn terminate(child: &Child) {
    if let Ok(id) = libc::pid_t::try_from(child.id()) {
        // SAFETY: kill takes numbers only; the child is not yet waited for, so the id is still its own.
        unsafe { libc::kill(id, libc::SIGTERM) };
    }
}

#[expect(unsafe_code, reason = "the only way to have a child end with a killed parent")]
fn stop_with_parent(command: &mut Command) {
    let set = || {
        #[cfg(target_os = "linux")]
        // SAFETY: prctl with these arguments touches no memory.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM)
        };
        Ok(())
    };
    // SAFETY: between fork and exec only prctl is called, which is async-signal-safe.
    unsafe { command.pre_exec(set) };
}

fn pass_on(name: &str, reader: BufReader<impl std::io::Read + Send + 'static>) {
    let name = name.to_owned();
    std::thread::spawn(move || {
        for line in reader.lines().map_while(Result::ok) {
            println!("[{name}] {line}");
        }
    });
}

/// `PATH` of a file that must be there.
pub(crate) fn existing(path: PathBuf) -> anyhow::Result<PathBuf> {
    if !path.is_file() {
        bail!("{} is missing", path.display());
    }
    Ok(path)
}
