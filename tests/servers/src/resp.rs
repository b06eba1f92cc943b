//! A question to a Redis server, without a client: one connection, one command, one answer.

use std::io::{BufRead, BufReader, Error, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(5);

/// Asks the server at this address. What is text is given as it is, one line for each element; an error
/// begins with `-`, as on the wire.
pub(crate) fn ask(address: SocketAddr, words: &[&str]) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let mut command = format!("*{}\r\n", words.len());
    for word in words {
        command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(command.as_bytes())?;
    let mut lines = Vec::new();
    read(&mut BufReader::new(stream), &mut lines)?;
    Ok(lines.join("\n"))
}

/// As [`ask`], of a server that is there.
pub(crate) fn asked(address: SocketAddr, words: &[&str]) -> String {
    ask(address, words).unwrap_or_else(|error| panic!("{address}: {words:?}: {error}"))
}

fn read(from: &mut impl BufRead, lines: &mut Vec<String>) -> Result<()> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let line = line.trim_end();
    let number = |text: &str| text.parse::<usize>().unwrap_or(0);
    match (line.get(..1), line.get(1..)) {
        (Some("*"), Some(count)) => (0..number(count)).try_for_each(|_| read(from, lines)),
        (Some("$"), Some("-1")) => {
            lines.push(String::new());
            Ok(())
        }
        (Some("$"), Some(length)) => {
            let mut bytes = vec![0; number(length) + 2];
            from.read_exact(&mut bytes)?;
            bytes.truncate(number(length));
            lines.push(String::from_utf8_lossy(&bytes).into_owned());
            Ok(())
        }
        (Some("+" | ":"), Some(text)) => {
            lines.push(text.to_owned());
            Ok(())
        }
        (Some("-"), _) => {
            lines.push(line.to_owned());
            Ok(())
        }
        _ => Err(Error::other("the connection was closed")),
    }
}
