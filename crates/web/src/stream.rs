//! Bodies that are written while they are sent: a piece when the connection wants one, so that neither a large answer nor a slow
//! client costs more than one piece of memory besides the result itself.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::Frame;

/// About how many bytes are written at a time. Writing so many takes well below a millisecond, so a worker thread may do it.
pub(crate) const PIECE_BYTES: usize = 32 << 10;

/// Something that is written piece by piece. Dropped when the client goes away.
pub(crate) trait Pieces: Send + 'static {
    /// Appends a little, at most a few times [`PIECE_BYTES`]; false once all is written.
    fn write(&mut self, out: &mut Vec<u8>) -> bool;
}

/// `head`, the pieces, `tail`. What fits into one piece is a body of known length.
pub(crate) fn body(head: &[u8], mut pieces: Box<dyn Pieces>, tail: Vec<u8>) -> Body {
    let mut first = Vec::with_capacity(PIECE_BYTES + (PIECE_BYTES >> 2));
    first.extend_from_slice(head);
    if fill(&mut first, &mut *pieces) {
        return Body::new(Streamed { first: Some(first), rest: Some((pieces, tail)) });
    }
    first.extend_from_slice(&tail);
    Body::from(first)
}

/// Writes until there is a piece; whether there may be more.
fn fill(out: &mut Vec<u8>, pieces: &mut dyn Pieces) -> bool {
    while out.len() < PIECE_BYTES {
        if !pieces.write(out) {
            return false;
        }
    }
    true
}

struct Streamed {
    first: Option<Vec<u8>>,
    /// What is still to be written, and what follows it.
    rest: Option<(Box<dyn Pieces>, Vec<u8>)>,
}

impl hyper::body::Body for Streamed {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first.into()))));
        }
        let Some((mut pieces, tail)) = self.rest.take() else { return Poll::Ready(None) };
        let mut out = Vec::with_capacity(PIECE_BYTES + (PIECE_BYTES >> 2));
        if fill(&mut out, &mut *pieces) {
            self.rest = Some((pieces, tail));
        } else {
            out.extend_from_slice(&tail);
        }
        Poll::Ready(Some(Ok(Frame::data(out.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_none()
    }
}

/// The elements of a list, each written by `write`.
pub(crate) struct List<I, F> {
    items: I,
    write: F,
    begun: bool,
}

impl<I, F> List<I, F> {
    /// A list that is written as `[…]`.
    pub(crate) fn new(items: I, write: F) -> Self {
        Self { items, write, begun: false }
    }
}

impl<I, F> Pieces for List<I, F>
where
    I: Iterator + Send + 'static,
    F: FnMut(&mut Vec<u8>, I::Item) + Send + 'static,
{
    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        if let Some(item) = self.items.next() {
            out.push(if self.begun { b',' } else { b'[' });
            self.begun = true;
            (self.write)(out, item);
            return true;
        }
        out.extend_from_slice(if self.begun { b"]" } else { b"[]" });
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pieces_of(count: usize) -> (String, usize) {
        use http_body_util::BodyExt as _;
        let list =
            List::new(0..count, |out: &mut Vec<u8>, i| out.extend_from_slice(format!("{i:09}").as_bytes()));
        let mut body = body(b"<", Box::new(list), b">".to_vec());
        let (mut all, mut frames) = (Vec::new(), 0);
        while let Some(frame) = body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            assert!(data.len() < PIECE_BYTES + 100);
            all.extend_from_slice(&data);
            frames += 1;
        }
        (String::from_utf8(all).unwrap(), frames)
    }

    #[tokio::test]
    async fn a_list_comes_whole_whatever_its_length() {
        for (count, frames) in [(0, 1), (1, 1), (10_000, 4), (3_276, 1), (3_277, 2)] {
            let (text, got) = pieces_of(count).await;
            let expect: Vec<String> = (0..count).map(|i| format!("{i:09}")).collect();
            assert_eq!(text, format!("<[{}]>", expect.join(",")));
            assert_eq!(got, frames, "{count}");
        }
    }
}
