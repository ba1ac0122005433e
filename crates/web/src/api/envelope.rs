//! Upstream's envelope: `{"status":"success","data":…}` or `{"status":"error","errorType":…,"error":…}`.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Serialize;

use crate::json;
use crate::stream::{self, Pieces};

/// Warnings and infos beyond this many of each are counted, not shown.
const MAX_ANNOTATIONS: usize = 10;

/// The error types of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorType {
    BadData,
    Execution,
    Canceled,
    Timeout,
    Internal,
    Unavailable,
}

impl ErrorType {
    fn name(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::Execution => "execution",
            Self::Canceled => "canceled",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::BadData => StatusCode::BAD_REQUEST,
            Self::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Canceled => StatusCode::from_u16(499).expect("three digits"),
            Self::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal | Self::Unavailable => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A failed call.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(crate) kind: ErrorType,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(kind: ErrorType, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// `invalid parameter "NAME": REASON`
    pub(crate) fn parameter(name: &str, reason: impl std::fmt::Display) -> Self {
        Self::new(ErrorType::BadData, format!("invalid parameter {name:?}: {reason}"))
    }
}

impl From<storage::Error> for ApiError {
    fn from(e: storage::Error) -> Self {
        let kind = match e.kind() {
            storage::ErrorKind::Cancelled => ErrorType::Canceled,
            storage::ErrorKind::TimedOut => ErrorType::Timeout,
            storage::ErrorKind::Io | storage::ErrorKind::Corrupt | storage::ErrorKind::NoSpace => {
                ErrorType::Internal
            }
            _ => ErrorType::Execution,
        };
        Self::new(kind, e.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Envelope<'a> {
            status: &'a str,
            error_type: &'a str,
            error: &'a str,
        }
        let mut body = Vec::new();
        json::write(
            &mut body,
            &Envelope { status: "error", error_type: self.kind.name(), error: &self.message },
        );
        respond(self.kind.status(), Body::from(body))
    }
}

/// A successful call: the data and what the evaluation had to remark.
pub(crate) struct Reply {
    data: Data,
    warnings: Vec<String>,
    infos: Vec<String>,
}

/// The data of a reply.
enum Data {
    /// JSON, already written.
    Written(Vec<u8>),
    /// JSON that is written while it is sent.
    Streamed(Box<dyn Pieces>),
}

/// A call that has nothing to say: 204, without a body, as upstream where there is no data object.
pub(crate) fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

impl Reply {
    /// A reply whose data is written by `write`.
    pub(crate) fn written(write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut data = Vec::new();
        write(&mut data);
        Self::new(Data::Written(data))
    }

    /// A reply whose data is written while it is sent.
    pub(crate) fn streamed(pieces: impl Pieces) -> Self {
        Self::new(Data::Streamed(Box::new(pieces)))
    }

    fn new(data: Data) -> Self {
        Self { data, warnings: Vec::new(), infos: Vec::new() }
    }

    /// A reply with serialisable data.
    pub(crate) fn data<T: Serialize + ?Sized>(data: &T) -> Self {
        Self::written(|out| json::write(out, data))
    }

    pub(crate) fn with_warnings(mut self, warnings: impl IntoIterator<Item = String>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    pub(crate) fn with_infos(mut self, infos: impl IntoIterator<Item = String>) -> Self {
        self.infos.extend(infos);
        self
    }
}

/// At most [`MAX_ANNOTATIONS`], and a line that counts the rest.
fn shown(mut all: Vec<String>, kind: &str) -> Vec<String> {
    if all.len() > MAX_ANNOTATIONS {
        let omitted = all.len() - MAX_ANNOTATIONS;
        all.truncate(MAX_ANNOTATIONS);
        all.push(format!("{omitted} more {kind} annotations omitted"));
    }
    all
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        const HEAD: &[u8] = b"{\"status\":\"success\",\"data\":";
        let mut tail = Vec::new();
        for (key, list) in
            [("warnings", shown(self.warnings, "warning")), ("infos", shown(self.infos, "info"))]
        {
            if !list.is_empty() {
                tail.extend_from_slice(format!(",\"{key}\":").as_bytes());
                json::write(&mut tail, &list);
            }
        }
        tail.push(b'}');
        let body = match self.data {
            Data::Written(data) => Body::from([HEAD, &data, &tail].concat()),
            Data::Streamed(pieces) => stream::body(HEAD, pieces, tail),
        };
        respond(StatusCode::OK, body)
    }
}

fn respond(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// What every handler of the API returns.
pub(crate) type ApiResult = Result<Reply, ApiError>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surplus_annotations_are_counted() {
        let all: Vec<String> = (0..13).map(|i| i.to_string()).collect();
        let got = shown(all, "warning");
        assert_eq!(got.len(), 11);
        assert_eq!(got[10], "3 more warning annotations omitted");
    }
}
