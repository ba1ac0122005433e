//! A connection: opened, authenticated, then asked several commands at once.

use std::io;
use std::time::Duration;

use httpclient::Tls;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::address::{Address, Place};
use crate::resp::{self, Broken, Decoder, Limits, Value};

/// Room for what is read at once.
const READ_BYTES: usize = 16 << 10;

/// Why a server could not be asked. The text has no password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Nobody answers there.
    #[error("dial {network} {place}: {why}")]
    Dial {
        /// `tcp` or `unix`
        network: &'static str,
        /// Where.
        place: String,
        /// Why.
        why: String,
    },
    /// The server refused; its words.
    #[error("{0}")]
    Refused(String),
    /// The connection ended, or what came is no reply.
    #[error("{0}")]
    Broken(String),
    /// Time ran out.
    #[error("{0}: i/o timeout")]
    Timeout(&'static str),
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken.to_string())
    }
}

/// As whom to speak.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// User, where the server knows users.
    pub(crate) user: Option<String>,
    /// Without one, nobody is authenticated.
    pub(crate) password: Option<String>,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// One connection, one batch of commands.
    pub(crate) step: Duration,
    /// All of it, if somebody waits for an answer.
    pub(crate) deadline: Option<Instant>,
}

impl Patience {
    async fn wait<T>(
        &self,
        what: &'static str,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let step = Instant::now() + self.step;
        let until = self.deadline.map_or(step, |d| d.min(step));
        tokio::time::timeout_at(until, work).await.unwrap_or(Err(Fault::Timeout(what)))
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open connection. Once a call failed or was cancelled, all later ones fail.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    /// What has come and is not decoded yet.
    held: Vec<u8>,
    /// A batch failed, or is under way: what comes next may be the answer to something else.
    is_broken: bool,
    patience: Patience,
}

impl Connection {
    /// Connects, authenticates and selects the address's database.
    pub(crate) async fn open(
        address: &Address,
        credentials: &Credentials,
        tls: &Tls,
        patience: Patience,
    ) -> Result<Self, Fault> {
        let stream = patience.wait("dial", dial(&address.place, tls)).await?;
        let mut connection = Self { stream, held: Vec::new(), is_broken: false, patience };
        let db = address.db.to_string();
        let mut batch = Batch::default();
        if let Some(password) = &credentials.password {
            match &credentials.user {
                Some(user) => batch.ask(&["AUTH", user, password]),
                None => batch.ask(&["AUTH", password]),
            }
        }
        if address.db != 0 {
            batch.ask(&["SELECT", &db]);
        }
        for reply in connection.run(&batch).await? {
            if let Value::Error(text) = reply {
                // A server without this command repeats its arguments.
                let hidden = credentials.password.as_deref().filter(|p| !p.is_empty());
                let text = hidden.map_or(text.clone(), |password| text.replace(password, "<redacted>"));
                return Err(Fault::Refused(text));
            }
        }
        Ok(connection)
    }

    /// Sends all commands at once and reads their replies in order. An objection of the server is a reply.
    pub(crate) async fn run(&mut self, batch: &Batch) -> Result<Vec<Value>, Fault> {
        if batch.count == 0 {
            return Ok(Vec::new());
        }
        if std::mem::replace(&mut self.is_broken, true) {
            return Err(Fault::Broken("the connection failed before".to_owned()));
        }
        let Self { stream, held, patience, .. } = self;
        let replies = patience
            .wait("read", async {
                // Redis keeps replies in memory while it reads on, so writing all before reading cannot lock up.
                stream.write_all(&batch.bytes).await.map_err(Broken::Io)?;
                stream.flush().await.map_err(Broken::Io)?;
                let mut replies = Vec::with_capacity(batch.count);
                let mut decoder = Decoder::new(Limits::DEFAULT);
                while replies.len() < batch.count {
                    let mut bytes = held.as_slice();
                    while replies.len() < batch.count
                        && let Some(reply) = decoder.feed(&mut bytes)?
                    {
                        replies.push(reply);
                    }
                    held.drain(..held.len() - bytes.len());
                    if replies.len() < batch.count {
                        held.reserve(READ_BYTES);
                        // What is held at most is one string, whose length the decoder has bounded, as it bounds the whole batch.
                        if stream.read_buf(held).await.map_err(Broken::Io)? == 0 {
                            return Err(Broken::Io(io::ErrorKind::UnexpectedEof.into()).into());
                        }
                    }
                }
                Ok(replies)
            })
            .await?;
        self.is_broken = false;
        Ok(replies)
    }

    /// One command.
    pub(crate) async fn ask(&mut self, words: &[&str]) -> Result<Value, Fault> {
        let mut batch = Batch::default();
        batch.ask(words);
        Ok(self.run(&batch).await?.pop().unwrap_or(Value::Nil))
    }
}

/// Commands to send at once.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    count: usize,
}

impl Batch {
    /// Adds a command of text.
    pub(crate) fn ask(&mut self, words: &[&str]) {
        let words: Vec<&[u8]> = words.iter().map(|w| w.as_bytes()).collect();
        self.ask_bytes(&words);
    }

    /// Adds a command of any bytes, which keys are.
    pub(crate) fn ask_bytes(&mut self, words: &[&[u8]]) {
        resp::push_command(&mut self.bytes, words);
        self.count += 1;
    }
}

async fn dial(place: &Place, tls: &Tls) -> Result<Box<dyn Stream>, Fault> {
    let fault = |network, why: String| Fault::Dial { network, place: place.to_string(), why };
    let (host, port, with_tls) = match place {
        Place::Unix(path) => {
            let stream = UnixStream::connect(path).await;
            return Ok(Box::new(stream.map_err(|e| fault("unix", reason("connect", &e)))?));
        }
        Place::Tcp { host, port, tls } => (host, *port, *tls),
    };
    let stream = TcpStream::connect((host.as_str(), port)).await;
    let stream = stream.map_err(|e| fault("tcp", reason("connect", &e)))?;
    // Only a matter of speed.
    let _ = stream.set_nodelay(true);
    if !with_tls {
        return Ok(Box::new(stream));
    }
    let config = tls.client_config().map_err(|e| fault("tcp", e.to_string()))?;
    let name = tls.server_name(host).map_err(|e| fault("tcp", e.to_string()))?;
    let stream = TlsConnector::from(config).connect(name, stream).await;
    Ok(Box::new(stream.map_err(|e| fault("tcp", format!("tls: {e}")))?))
}

/// In Go's words, which rules and people know.
fn reason(what: &str, e: &io::Error) -> String {
    let text = match e.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => e.to_string(),
    };
    format!("{what}: {text}")
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn against(script: &'static [u8], credentials: &Credentials) -> Result<Vec<Value>, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.unwrap();
            peer.write_all(script).await.unwrap();
            let mut heard = [0; 256];
            while peer.read(&mut heard).await.is_ok_and(|n| n > 0) {}
        });
        let address = Address::parse(&format!("127.0.0.1:{port}")).unwrap();
        let tls = Tls::new(&config::TlsConfig::default()).unwrap();
        let patience = Patience { step: Duration::from_millis(200), deadline: None };
        let outcome = async {
            let mut connection = Connection::open(&address, credentials, &tls, patience).await?;
            let mut batch = Batch::default();
            batch.ask(&["PING"]);
            batch.ask(&["GET", "a"]);
            connection.run(&batch).await
        }
        .await;
        served.abort();
        outcome.map_err(|e| e.to_string())
    }

    #[tokio::test]
    async fn objections_are_replies_but_not_to_a_password() {
        let nobody = Credentials::default();
        let replies = against(b"+PONG\r\n-ERR no\r\n", &nobody).await.unwrap();
        assert_eq!(replies[1].error(), Some("ERR no"));
        let somebody = Credentials { user: None, password: Some("secret".to_owned()) };
        let refused = against(b"-WRONGPASS no\r\n", &somebody).await.unwrap_err();
        assert_eq!(refused, "WRONGPASS no");
        let unknown = b"-ERR unknown command 'AUTH', with args beginning with: 'secret'\r\n";
        assert!(!against(unknown, &somebody).await.unwrap_err().contains("secret"));
    }

    #[tokio::test]
    async fn a_silent_or_babbling_server_is_given_up() {
        let nobody = Credentials::default();
        assert_eq!(against(b"+PONG\r\n", &nobody).await.unwrap_err(), "read: i/o timeout");
        let babble = against(b"HTTP/1.1 400 Bad Request\r\n", &nobody).await.unwrap_err();
        assert!(babble.contains("not in its protocol"), "{babble}");
    }

    #[tokio::test]
    async fn nobody_there_is_said_in_gos_words() {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let tls = Tls::new(&config::TlsConfig::default()).unwrap();
        let address = Address::parse(&format!("redis://u:secret@127.0.0.1:{port}")).unwrap();
        let patience = Patience { step: Duration::from_secs(5), deadline: None };
        let error = Connection::open(&address, &Credentials::default(), &tls, patience).await.err().unwrap();
        assert_eq!(error.to_string(), format!("dial tcp 127.0.0.1:{port}: connect: connection refused"));
    }
}
