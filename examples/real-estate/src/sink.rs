//! `real-estate sink`: takes mails over SMTP and Slack messages over HTTP and prints them.
//!
//! For the demonstration only: it accepts every password and keeps nothing.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::warn;

const MAX_LINE_BYTES: u64 = 8 << 10;
const MAX_MAIL_BYTES: usize = 4 << 20;
const SESSION: Duration = Duration::from_secs(60);

/// Serves both ends until told to stop.
pub(crate) async fn run(
    smtp: SocketAddr,
    slack: SocketAddr,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mails = TcpListener::bind(smtp).await.with_context(|| format!("cannot listen on {smtp}"))?;
    let messages = TcpListener::bind(slack).await.with_context(|| format!("cannot listen on {slack}"))?;
    print(&format!("mails on {}, Slack messages on http://{}", mails.local_addr()?, messages.local_addr()?));
    let http = tokio::spawn(super::serve_until(messages, slack_router(), stop.clone()));
    loop {
        let (stream, _) = tokio::select! {
            accepted = mails.accept() => accepted?,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        tokio::spawn(async move {
            let (read, write) = stream.into_split();
            match tokio::time::timeout(SESSION, session(BufReader::new(read), write, show_mail)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => warn!(%error, "mail session ended early"),
                Err(_) => warn!("mail session took too long"),
            }
        });
    }
    http.await?
}

#[expect(clippy::print_stdout, reason = "printing what arrives is the command's purpose")]
fn print(text: &str) {
    println!("{text}");
}

fn slack_router() -> Router {
    Router::new()
        .fallback(async |body: String| {
            let shown = serde_json::from_str::<serde_json::Value>(&body)
                .and_then(|json| serde_json::to_string_pretty(&json))
                .unwrap_or(body);
            print(&format!("--- Slack message ---\n{shown}\n---------------------"));
            "ok"
        })
        .layer(DefaultBodyLimit::max(MAX_MAIL_BYTES))
}

/// One SMTP session (RFC 5321, AUTH of RFC 4954), from greeting to QUIT or end of stream.
async fn session(
    mut read: impl AsyncBufRead + Unpin,
    mut write: impl AsyncWrite + Unpin,
    mut deliver: impl FnMut(&str),
) -> anyhow::Result<()> {
    reply(&mut write, "220 sink ESMTP").await?;
    while let Some(line) = read_line(&mut read).await? {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => reply(&mut write, "250-sink\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN").await?,
            "HELO" | "MAIL" | "RCPT" | "RSET" | "NOOP" => reply(&mut write, "250 ok").await?,
            "AUTH" => {
                // LOGIN asks twice; PLAIN asks only where the credentials are not on the line itself.
                let prompts: &[&str] = match line.split_ascii_whitespace().collect::<Vec<_>>()[..] {
                    [_, mechanism] if mechanism.eq_ignore_ascii_case("LOGIN") => {
                        &["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"]
                    }
                    [_, mechanism, _] if mechanism.eq_ignore_ascii_case("LOGIN") => &["334 UGFzc3dvcmQ6"],
                    [_, _] => &["334 "],
                    _ => &[],
                };
                for prompt in prompts {
                    reply(&mut write, prompt).await?;
                    read_line(&mut read).await?.context("the client left while authenticating")?;
                }
                reply(&mut write, "235 welcome").await?;
            }
            "DATA" => {
                reply(&mut write, "354 go ahead").await?;
                let mail = read_mail(&mut read).await?;
                deliver(&mail);
                reply(&mut write, "250 taken").await?;
            }
            "QUIT" => {
                reply(&mut write, "221 bye").await?;
                return Ok(());
            }
            _ => reply(&mut write, "502 not known here").await?,
        }
    }
    Ok(())
}

async fn reply(write: &mut (impl AsyncWrite + Unpin), text: &str) -> anyhow::Result<()> {
    Ok(write.write_all(format!("{text}\r\n").as_bytes()).await?)
}

/// A line without its end; `None` at the end of the stream.
async fn read_line(read: &mut (impl AsyncBufRead + Unpin)) -> anyhow::Result<Option<String>> {
    let mut line = Vec::new();
    (&mut *read).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Ok(None);
    }
    ensure!(line.ends_with(b"\n"), "a line is cut off or longer than {MAX_LINE_BYTES} bytes");
    Ok(Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()))
}

async fn read_mail(read: &mut (impl AsyncBufRead + Unpin)) -> anyhow::Result<String> {
    let mut mail = String::new();
    loop {
        let line = read_line(read).await?.context("the client left in the middle of a mail")?;
        if line == "." {
            return Ok(mail);
        }
        ensure!(mail.len() + line.len() < MAX_MAIL_BYTES, "the mail is larger than {MAX_MAIL_BYTES} bytes");
        mail.push_str(line.strip_prefix('.').unwrap_or(&line));
        mail.push('\n');
    }
}

fn show_mail(mail: &str) {
    print(&format!("--- mail ---\n{}------------", summary(mail)));
}

/// The headers a reader wants, and the size of the body.
fn summary(mail: &str) -> String {
    let (head, body) = mail.split_once("\n\n").unwrap_or((mail, ""));
    let mut text = String::new();
    for line in head.lines() {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        if matches!(name.as_str(), "subject" | "from" | "to" | "date") {
            text.push_str(line);
            text.push('\n');
        }
    }
    text.push_str(&format!("({} lines of body)\n", body.lines().count()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn talk(client: &str) -> (Vec<String>, Vec<String>) {
        let mut replies = Vec::new();
        let mut mails = Vec::new();
        let result = session(client.as_bytes(), &mut replies, |mail| mails.push(mail.to_owned())).await;
        if let Err(error) = result {
            replies.extend_from_slice(format!("error: {error}\r\n").as_bytes());
        }
        let replies = String::from_utf8(replies).unwrap();
        (replies.lines().map(str::to_owned).collect(), mails)
    }

    #[tokio::test]
    async fn a_mail_with_login() {
        let (replies, mails) = talk(
            "EHLO me\r\nAUTH LOGIN\r\ndXNlcg==\r\ncGFzcw==\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n\
             Subject: hi\r\nX-Other: 1\r\n\r\n..dotted\r\nend\r\n.\r\nQUIT\r\n",
        )
        .await;
        let codes: Vec<&str> = replies.iter().map(|line| &line[..3]).collect();
        assert_eq!(
            codes,
            ["220", "250", "250", "250", "334", "334", "235", "250", "250", "354", "250", "221"]
        );
        assert_eq!(mails, ["Subject: hi\nX-Other: 1\n\n.dotted\nend\n"]);
        assert_eq!(summary(&mails[0]), "Subject: hi\n(2 lines of body)\n");
    }

    #[tokio::test]
    async fn rude_clients() {
        for (client, last) in [
            ("", "220 sink ESMTP"),
            ("BDAT 3\r\n", "502 not known here"),
            ("AUTH PLAIN AGEAYg==\r\n", "235 welcome"),
            ("DATA\r\nhalf", "error: a line is cut off or longer than 8192 bytes"),
            ("DATA\r\nhalf\r\n", "error: the client left in the middle of a mail"),
            (&"x".repeat(20_000), "error: a line is cut off or longer than 8192 bytes"),
        ] {
            assert_eq!(talk(client).await.0.last().map(String::as_str), Some(last));
        }
    }
}
