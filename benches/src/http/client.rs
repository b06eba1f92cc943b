//! A client that makes sessions: as little of HTTP as that takes.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// One connection to a site.
#[derive(Debug)]
pub(super) struct Client(BufReader<TcpStream>);

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    /// Makes a session, and returns what the next request says of it.
    pub(super) async fn start(&mut self) -> String {
        let (cookies, _) = self.request("/start", "").await;
        assert!(!cookies.is_empty(), "no session was made");
        cookies.join("; ")
    }

    /// The body of the answer, which must be 200.
    pub(super) async fn get(&mut self, path: &str, cookie: &str) -> String {
        self.request(path, &format!("Cookie: {cookie}\r\n")).await.1
    }

    /// The cookies that are set, and the body.
    async fn request(&mut self, path: &str, headers: &str) -> (Vec<String>, String) {
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        self.0.get_mut().write_all(head.as_bytes()).await.unwrap();
        let status = self.line().await;
        let (mut cookies, mut length) = (Vec::new(), 0);
        loop {
            let line = self.line().await;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "set-cookie" => cookies.extend(value.trim().split(';').next().map(str::to_owned)),
                "content-length" => length = value.trim().parse().unwrap(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        let body = String::from_utf8(body).unwrap();
        assert!(status.contains(" 200 "), "{path}: {status}: {body}");
        (cookies, body)
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }
}
