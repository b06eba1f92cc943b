//! A stream to a server: commands go out, answers come back in their order.

use std::fmt;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Waker};

use redis::Value;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
};

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A stream that speaks RESP2. It is of no more use after an error, nor after an exchange that was dropped.
pub(crate) struct Wire {
    stream: BufReader<Box<dyn Stream>>,
    line: Vec<u8>,
}

/// How many bytes are read at once, unless they are one string's.
const READ: usize = 64 << 10;
/// The longest line that is taken for one.
const LONGEST_LINE: u64 = 64 << 10;
/// The longest string that Redis has.
const LONGEST_STRING: usize = 512 << 20;
/// How deep answers are nested at most.
const DEEPEST: usize = 8;

impl Wire {
    pub(crate) fn new(stream: Box<dyn Stream>) -> Self {
        Self {
            stream: BufReader::with_capacity(READ, stream),
            line: Vec::new(),
        }
    }

    /// Whether it is open, as far as is known, and nothing came that nobody asked for.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(&mut self.stream)
            .poll_fill_buf(&mut context)
            .is_pending()
    }

    /// Sends packed commands together, and waits for so many answers.
    pub(crate) async fn exchange(
        &mut self,
        mut commands: &mut [IoSlice<'_>],
        answers: usize,
    ) -> Result<Vec<Value>> {
        while !commands.is_empty() {
            match self.stream.write_vectored(commands).await? {
                0 => return Err(ErrorKind::WriteZero.into()),
                sent => IoSlice::advance_slices(&mut commands, sent),
            }
        }
        self.stream.flush().await?;
        let mut received = Vec::with_capacity(answers);
        for _ in 0..answers {
            received.push(self.answer().await?);
        }
        Ok(received)
    }

    async fn answer(&mut self) -> Result<Value> {
        // Arrays that are not complete yet, and how many elements each has.
        let mut open: Vec<(Vec<Value>, usize)> = Vec::new();
        loop {
            self.read_line().await?;
            let mut value = match self.line.split_first() {
                Some((b'$', length)) => match count(length)? {
                    None => Value::Nil,
                    Some(length) => self.string(length).await?,
                },
                Some((b':', number)) => Value::Int(number_of(number)?),
                Some((b'*', length)) => match count(length)? {
                    None => Value::Nil,
                    Some(0) => Value::Array(Vec::new()),
                    Some(_) if open.len() == DEEPEST => return Err(unintelligible()),
                    Some(length) => {
                        open.push((Vec::with_capacity(length.min(1024)), length));
                        continue;
                    }
                },
                _ => {
                    self.line.extend_from_slice(b"\r\n");
                    redis::parse_redis_value(&self.line).map_err(|_| unintelligible())?
                }
            };
            loop {
                match open.pop() {
                    None => return Ok(value),
                    Some((mut elements, length)) => {
                        elements.push(value);
                        if elements.len() < length {
                            open.push((elements, length));
                            break;
                        }
                        value = Value::Array(elements);
                    }
                }
            }
        }
    }

    /// Reads a line, without its end.
    async fn read_line(&mut self) -> Result<()> {
        self.line.clear();
        let mut limited = (&mut self.stream).take(LONGEST_LINE);
        limited.read_until(b'\n', &mut self.line).await?;
        if self.line.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        match self.line.strip_suffix(b"\r\n") {
            Some(line) => {
                let length = line.len();
                self.line.truncate(length);
                Ok(())
            }
            None => Err(unintelligible()),
        }
    }

    async fn string(&mut self, length: usize) -> Result<Value> {
        if length > LONGEST_STRING {
            return Err(unintelligible());
        }
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes).await?;
        if !bytes.ends_with(b"\r\n") {
            return Err(unintelligible());
        }
        bytes.truncate(length);
        Ok(Value::BulkString(bytes))
    }
}

/// A length; nothing for -1.
fn count(digits: &[u8]) -> Result<Option<usize>> {
    match number_of(digits)? {
        -1 => Ok(None),
        length => usize::try_from(length)
            .map(Some)
            .map_err(|_| unintelligible()),
    }
}

fn number_of(digits: &[u8]) -> Result<i64> {
    let number = str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok());
    number.ok_or_else(unintelligible)
}

fn unintelligible() -> Error {
    Error::new(ErrorKind::InvalidData, "an answer that is not RESP2")
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of bytes that arrive in pieces of `size`.
    async fn answers(bytes: &[u8], size: usize, count: usize) -> Result<Vec<Value>> {
        let (ours, mut theirs) = tokio::io::duplex(size);
        let mut wire = Wire::new(Box::new(ours));
        let bytes = bytes.to_vec();
        let server = tokio::spawn(async move {
            let mut question = [0; 4];
            theirs.read_exact(&mut question).await.unwrap();
            // The reader may have had enough before.
            let _ = theirs.write_all(&bytes).await;
        });
        let (one, two) = (IoSlice::new(b"ab"), IoSlice::new(b"cd"));
        let answers = wire.exchange(&mut [one, two], count).await;
        drop(wire);
        server.await.unwrap();
        answers
    }

    fn string(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[tokio::test]
    async fn answers_are_read_whatever_pieces_they_come_in() {
        let bytes = b"+OK\r\n:-7\r\n$-1\r\n*-1\r\n$0\r\n\r\n$4\r\na\r\nb\r\n\
            *3\r\n:1\r\n*2\r\n$1\r\nx\r\n*0\r\n$1\r\ny\r\n-WRONGTYPE no\r\n";
        let expected = [
            Value::Okay,
            Value::Int(-7),
            Value::Nil,
            Value::Nil,
            string(""),
            string("a\r\nb"),
            Value::Array(vec![
                Value::Int(1),
                Value::Array(vec![string("x"), Value::Array(Vec::new())]),
                string("y"),
            ]),
        ];
        for size in [1, 2, 3, 5, 7, 1000] {
            let mut found = answers(bytes, size, 8).await.unwrap();
            let error = found.pop().unwrap().extract_error().unwrap_err();
            assert_eq!(error.code(), Some("WRONGTYPE"));
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_is_an_error_not_a_wait() {
        for bytes in [
            &b"$5\r\nab"[..],
            b"$2\r\nabXX",
            b"$-2\r\n",
            b"$99999999999\r\n",
            b"*x\r\n",
            b":\r\n",
            b"nonsense\r\n",
            b"+no end\n",
            b"",
            b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        ] {
            let answer = answers(bytes, 1000, 1).await;
            assert!(answer.is_err(), "{bytes:?}: {answer:?}");
        }
    }

    #[tokio::test]
    async fn a_wire_is_quiet_until_something_comes_or_it_ends() {
        let (ours, mut theirs) = tokio::io::duplex(100);
        let mut wire = Wire::new(Box::new(ours));
        assert!(wire.is_quiet());
        theirs.write_all(b"+OK\r\n").await.unwrap();
        assert!(!wire.is_quiet());
        let (ours, theirs) = tokio::io::duplex(100);
        let mut wire = Wire::new(Box::new(ours));
        drop(theirs);
        assert!(!wire.is_quiet());
    }
}
