//! Frames: what a connection carries.
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | how many bytes follow, big-endian |
//! | 4 | kind |
//! | 5 | version of the body |
//! | 6.. | body |
//!
//! The layout never changes. A reader skips kinds that it does not know.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadHalf, WriteHalf};
use tokio::time::timeout;

/// What may follow the length, at most, once the peer is known to belong to the cluster.
pub(crate) const MAX_FRAME: usize = 8 << 20;
/// What may follow it before.
pub(crate) const MAX_FIRST_FRAME: usize = 4 << 10;
/// How much room is made for reading at a time: a claimed length by itself takes no memory.
const READ: usize = 64 << 10;

/// A frame as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) version: u8,
    pub(crate) body: Bytes,
}

/// A length that no frame has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes is none that may come here")]
pub(crate) struct Oversized(pub(crate) usize);

/// Appends a frame. Bodies that are over the bound are the caller's mistake: they are not sent.
pub(crate) fn append(out: &mut Vec<u8>, kind: u8, version: u8, body: &[u8]) {
    let Ok(len) = u32::try_from(body.len() + 2) else {
        return;
    };
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&[kind, version]);
    out.extend_from_slice(body);
}

/// Takes the first frame off `buffer`, if it is there whole.
pub(crate) fn split(buffer: &mut BytesMut, max: usize) -> Result<Option<Frame>, Oversized> {
    let Some(len) = claimed(buffer) else {
        return Ok(None);
    };
    if !(2..=max).contains(&len) {
        return Err(Oversized(len));
    }
    if buffer.len() < 4 + len {
        return Ok(None);
    }
    buffer.advance(4);
    let mut frame = buffer.split_to(len).freeze();
    let (kind, version) = (frame.get_u8(), frame.get_u8());
    Ok(Some(Frame {
        kind,
        version,
        body: frame,
    }))
}

fn claimed(buffer: &[u8]) -> Option<usize> {
    let len = u32::from_be_bytes(*buffer.first_chunk()?);
    Some(usize::try_from(len).unwrap_or(usize::MAX))
}

/// Reads frames off a connection.
#[derive(Debug)]
pub(crate) struct FrameReader<R> {
    stream: R,
    buffer: BytesMut,
    max: usize,
    patience: Duration,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// A reader of frames of at most [`MAX_FIRST_FRAME`], which waits for `patience` for more bytes.
    pub(crate) fn new(stream: R, patience: Duration) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            max: MAX_FIRST_FRAME,
            patience,
        }
    }

    /// Takes frames as large as any from now on.
    pub(crate) fn trust(&mut self) {
        self.max = MAX_FRAME;
    }

    /// Waits for the next frame; `None` when the peer closed the connection between two of them.
    ///
    /// A large frame on a slow connection may take its time, as long as it goes on arriving. May be dropped,
    /// or have timed out, and be called again: nothing that was read is lost.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            let frame = split(&mut self.buffer, self.max);
            if let Some(frame) =
                frame.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?
            {
                return Ok(Some(frame));
            }
            self.buffer.reserve(READ.min(4 + self.max));
            let read = self.stream.read_buf(&mut self.buffer);
            if timeout(self.patience, read).await?? == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> FrameReader<S> {
    /// The connection, to write on.
    pub(crate) const fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Reads on one half of the connection, and leaves the other to be written on.
    pub(crate) fn split(self) -> (FrameReader<ReadHalf<S>>, WriteHalf<S>) {
        let (reader, writer) = tokio::io::split(self.stream);
        let reader = FrameReader {
            stream: reader,
            buffer: self.buffer,
            max: self.max,
            patience: self.patience,
        };
        (reader, writer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames() -> impl Strategy<Value = Vec<(u8, u8, Vec<u8>)>> {
        let body = prop::collection::vec(any::<u8>(), 0..300);
        prop::collection::vec((any::<u8>(), any::<u8>(), body), 0..20)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn frames_come_out_as_they_went_in_however_the_bytes_are_cut(
            frames in frames(),
            cuts in prop::collection::vec(1_usize..200, 1..50),
        ) {
            let mut sent = Vec::new();
            for (kind, version, body) in &frames {
                append(&mut sent, *kind, *version, body);
            }
            let mut buffer = BytesMut::new();
            let mut read = Vec::new();
            let mut rest = sent.as_slice();
            for cut in cuts.iter().cycle() {
                while let Some(frame) = split(&mut buffer, 302).unwrap() {
                    read.push((frame.kind, frame.version, frame.body.to_vec()));
                }
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                buffer.extend_from_slice(now);
                rest = later;
            }
            prop_assert_eq!(read, frames);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn bytes_from_anywhere_are_frames_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            let mut buffer = BytesMut::from(bytes.as_slice());
            let mut taken = 0;
            while let Ok(Some(frame)) = split(&mut buffer, MAX_FIRST_FRAME) {
                taken += 6 + frame.body.len();
            }
            prop_assert!(taken + buffer.len() == bytes.len());
        }
    }

    fn reader(bytes: &[u8]) -> FrameReader<&[u8]> {
        FrameReader::new(bytes, Duration::from_secs(5))
    }

    fn trusting(bytes: &[u8]) -> FrameReader<&[u8]> {
        let mut reader = reader(bytes);
        reader.trust();
        reader
    }

    #[tokio::test]
    async fn a_length_over_the_bound_is_refused_before_its_bytes_arrive() {
        let mut sent = u32::MAX.to_be_bytes().to_vec();
        sent.extend_from_slice(&[16, 1]);
        let mut reader = trusting(&sent);
        let error = reader.next().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(reader.buffer.capacity() <= 2 * READ);
    }

    #[tokio::test]
    async fn a_claimed_length_takes_no_memory_by_itself() {
        let sent = u32::try_from(MAX_FRAME).unwrap().to_be_bytes();
        let mut reader = trusting(&sent);
        let error = reader.next().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(reader.buffer.capacity() <= 2 * READ);
    }

    #[tokio::test]
    async fn the_bound_grows_only_once_the_peer_is_trusted() {
        let mut sent = Vec::new();
        append(&mut sent, 16, 1, &vec![7; MAX_FIRST_FRAME]);
        reader(&sent).next().await.unwrap_err();
        let mut reader = trusting(&sent);
        assert_eq!(
            reader.next().await.unwrap().unwrap().body.len(),
            MAX_FIRST_FRAME
        );
        assert_eq!(reader.next().await.unwrap(), None);
    }
}
