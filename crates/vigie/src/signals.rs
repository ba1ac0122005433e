//! SIGTERM and SIGINT end the process in order; SIGHUP reloads.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use web::api::ReloadRequest;
use web::server::Shutdown;

/// Listens for signals until `shutdown`. Must be called within a tokio runtime.
///
/// # Errors
/// When a handler cannot be installed.
pub(crate) fn listen(shutdown: Shutdown, reloads: Vec<mpsc::Sender<ReloadRequest>>) -> std::io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let mut hup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = term.recv() => {
                    tracing::warn!(signal = "SIGTERM", "Received an OS signal, exiting gracefully...");
                    shutdown.signal();
                }
                _ = int.recv() => {
                    tracing::warn!(signal = "SIGINT", "Received an OS signal, exiting gracefully...");
                    shutdown.signal();
                }
                _ = hup.recv() => {
                    for reload in &reloads {
                        // Whoever reloads logs the outcome; a closed channel means the role has ended.
                        let (answer, outcome) = oneshot::channel();
                        if reload.send(answer).await.is_ok() {
                            let _ = outcome.await;
                        }
                    }
                }
                () = shutdown.wait() => return,
            }
        }
    });
    Ok(())
}
