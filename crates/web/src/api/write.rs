//! `write`: the transport of the remote write receiver. Reading bodies and waiting is here, all else in `remote::write`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use remote::write::{Limit, Receiver, Rejection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Api;

/// Upstream's hint.
const DISABLED: &str = "remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n";

/// Memory is counted in this many bytes: a semaphore counts to 2^32.
const UNIT_BYTES: usize = 1024;

/// A receiver and what bounds it: bodies held in memory, appends at once.
pub struct RemoteWrite {
    receiver: Arc<Receiver>,
    in_flight: Arc<Semaphore>,
    appends: Arc<Semaphore>,
}

impl RemoteWrite {
    /// Bounds are those of [`Receiver::limits`].
    #[must_use]
    pub fn new(receiver: Arc<Receiver>) -> Self {
        let limits = receiver.limits();
        // A body of the largest size must fit, or its sender would wait for ever.
        let units = limits.in_flight_bytes.max(limits.body_bytes).div_ceil(UNIT_BYTES);
        Self {
            in_flight: Arc::new(Semaphore::new(units)),
            appends: Arc::new(Semaphore::new(limits.concurrent_appends.max(1))),
            receiver,
        }
    }

    /// Waits for `permits`, and counts that it had to.
    async fn acquire(&self, semaphore: &Arc<Semaphore>, permits: u32, limit: Limit) -> OwnedSemaphorePermit {
        if let Ok(permit) = Arc::clone(semaphore).try_acquire_many_owned(permits) {
            return permit;
        }
        self.receiver.note_limit(limit);
        Arc::clone(semaphore).acquire_many_owned(permits).await.expect("the semaphores are never closed")
    }

    /// Reads the body, at most as long as allowed in length and time.
    async fn body(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(Bytes, OwnedSemaphorePermit), Rejection> {
        let limits = self.receiver.limits();
        let announced =
            text_of(headers, header::CONTENT_LENGTH).parse::<usize>().unwrap_or(limits.body_bytes);
        if announced > limits.body_bytes {
            return Err(self.receiver.too_long());
        }
        let units = u32::try_from(announced.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let permit = self.acquire(&self.in_flight, units, Limit::InFlightBytes).await;
        let collected = Limited::new(body, limits.body_bytes).collect();
        match tokio::time::timeout(Duration::from_millis(limits.body_timeout_ms), collected).await {
            Ok(Ok(collected)) => Ok((collected.to_bytes(), permit)),
            Ok(Err(e)) if e.is::<http_body_util::LengthLimitError>() => Err(self.receiver.too_long()),
            Ok(Err(e)) => Err(Rejection { status: 400, message: format!("reading the body: {e}") }),
            Err(_) => {
                self.receiver.note_limit(Limit::BodyTimeout);
                let message = format!("the body took longer than {} ms to arrive", limits.body_timeout_ms);
                Err(Rejection { status: 408, message })
            }
        }
    }

    async fn take(&self, request: Request) -> Result<(), Rejection> {
        let (head, body) = request.into_parts();
        let of = |name| text_of(&head.headers, name);
        self.receiver.check_headers(of(header::CONTENT_TYPE), of(header::CONTENT_ENCODING))?;
        let (body, memory) = self.body(&head.headers, body).await?;
        let append = self.acquire(&self.appends, 1, Limit::ConcurrentAppends).await;
        if self.receiver.is_quick(&body) {
            return self.receiver.receive(&body).map(drop);
        }
        let receiver = Arc::clone(&self.receiver);
        // The permits go along: a sender that goes away leaves the append running.
        let appended = tokio::task::spawn_blocking(move || {
            let _permits = (memory, append);
            receiver.receive(&body).map(drop)
        });
        appended.await.unwrap_or_else(|e| {
            Err(Rejection { status: 500, message: format!("the append ended abnormally: {e}") })
        })
    }
}

impl std::fmt::Debug for RemoteWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteWrite").field("receiver", &self.receiver).finish_non_exhaustive()
    }
}

fn text_of(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("")
}

pub(super) async fn write(State(api): State<Arc<Api>>, request: Request) -> Response {
    let Some(remote_write) = &api.remote_write else {
        return (StatusCode::NOT_FOUND, DISABLED).into_response();
    };
    match remote_write.take(request).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(Rejection { status, message }) => {
            // 4xx is the sender's fault and may come with each of its requests.
            if status >= 500 {
                tracing::error!(status, err = %message, "Error while remote writing the v1 request");
            } else {
                tracing::warn!(status, err = %message, "Remote write request refused");
            }
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, format!("{message}\n")).into_response()
        }
    }
}
