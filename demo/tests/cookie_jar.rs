//! Our cookies in a cookie jar that nobody here wrote: curl's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::path::{Path, PathBuf};

use tokio::process::Command;

use support::Server;

/// curl with a jar in a file of its own.
struct Curl {
    base: String,
    folder: PathBuf,
}

impl Curl {
    fn new(server: &Server, name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder for the jar");
        Self {
            base: server.base.clone(),
            folder,
        }
    }

    async fn run(&self, args: &[&str], path: &str) -> String {
        let jar = self.folder.join("jar.txt");
        let output = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--fail-with-body",
                "--max-time",
                "30",
            ])
            .arg("--cookie-jar")
            .arg(&jar)
            .arg("--cookie")
            .arg(&jar)
            .args(["--header", "Content-Type: application/json"])
            .args(args)
            .arg(format!("{}{path}", self.base))
            .output()
            .await
            .expect("curl is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{path}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    /// The lines of the jar that are cookies.
    fn kept(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.join("jar.txt")).unwrap_or_default();
        text.lines()
            .filter(|line| line.contains('\t'))
            .map(str::to_owned)
            .collect()
    }
}

async fn plays_along(server: &Server, curl: &Curl, name: &str, secure: &str) {
    assert!(curl.run(&[], "/api/session").await.contains("\"id\":null"));
    assert_eq!(curl.kept(), [""; 0]);

    let put = ["--request", "PUT", "--data", "{\"a\": 1.0}"];
    curl.run(&put, "/api/session/entries/n").await;
    let kept = curl.kept();
    assert_eq!(kept.len(), 1);
    let fields: Vec<_> = kept[0].split('\t').collect();
    assert_eq!(fields[0], "#HttpOnly_127.0.0.1");
    assert_eq!(fields[1], "FALSE", "no Domain: this host alone");
    assert_eq!(fields[2..4], ["/", secure]);
    assert_ne!(fields[4], "0", "it outlives the program");
    assert_eq!(fields[5], name);
    assert!(curl.run(&[], "/api/session").await.contains("{\"a\": 1.0}"));

    let credentials = r#"{"user": "alice", "password": "wonderland"}"#;
    curl.run(&["--data", credentials], "/api/sign-in").await;
    assert_ne!(curl.kept(), kept);
    assert_eq!(curl.kept().len(), 1);
    let session = curl.run(&[], "/api/session").await;
    assert!(session.contains("\"subject\":\"alice\""), "{session}");
    assert!(session.contains("{\"a\": 1.0}"), "{session}");

    curl.run(&["--data", "{}"], "/api/sign-out").await;
    assert_eq!(curl.kept(), [""; 0]);
    assert!(curl.run(&[], "/api/session").await.contains("\"id\":null"));
    assert_eq!(server.metric("session_store_sessions").await, 0);
}

#[tokio::test]
async fn curl_keeps_returns_and_deletes_the_plain_cookie() {
    let server = Server::start(&["--insecure-cookies"]);
    let curl = Curl::new(&server, "curl-plain");
    plays_along(&server, &curl, "id", "FALSE").await;
}

/// On this machine's own address curl trusts plain http with a Secure cookie, as browsers do.
#[tokio::test]
async fn curl_keeps_returns_and_deletes_the_host_cookie() {
    let server = Server::start(&[]);
    let curl = Curl::new(&server, "curl-host");
    plays_along(&server, &curl, "__Host-id", "TRUE").await;
}
