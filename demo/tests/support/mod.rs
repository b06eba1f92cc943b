//! The demo as a process of its own, and clients that talk to it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::cookie::{CookieStore, Jar};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::{Value, json};

/// Longer than anything here may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// The demo, on a port of its own. Ends with this.
pub(crate) struct Server {
    child: Child,
    pub(crate) base: String,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Server {
    /// With plain cookies and the lab: what the cookie store of a program keeps on http.
    pub(crate) fn lab() -> Self {
        Self::start(&["--insecure-cookies", "--lab"])
    }

    pub(crate) fn start(flags: &[&str]) -> Self {
        let flags = [&["--listen", "127.0.0.1:0"], flags].concat();
        Self::start_in(Path::new("."), &flags)
    }

    /// In a directory, and where the flags say.
    pub(crate) fn start_in(place: &Path, flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_demo"))
            .args(flags)
            .current_dir(place)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the demo starts");
        let mut errors = child.stderr.take().expect("stderr is piped");
        let log = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = errors.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]);
                kept.lock().unwrap().push_str(&text);
            }
        });
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("stdout is piped"))
            .read_line(&mut line)
            .expect("the demo says where it listens");
        // The line comes once the demo serves. Without one it has ended, and has said why.
        let Some(base) = line.split_whitespace().next().map(str::to_owned) else {
            reader.join().expect("its log is read");
            panic!("no address: {}", log.lock().unwrap());
        };
        Self {
            child,
            base,
            log,
            reader: Some(reader),
        }
    }

    /// A client with a cookie store of its own.
    pub(crate) fn client(&self) -> Client {
        Client::of(&self.base)
    }

    /// What was logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Whether the process is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("its state is known").is_none()
    }

    /// Asks it to stop, as an operating system does.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Stops it where it is.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    /// Ends it without a word, as a loss of power does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is there");
        self.child.wait().expect("it ends");
    }

    fn signal(&self, signal: &str) {
        let told = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(told.success());
    }

    /// Waits for its end, and until all that it logged is read; says whether it went well.
    pub(crate) fn wait(&mut self) -> bool {
        let status = self.child.wait().expect("it ends");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("its log is read");
        }
        status.success()
    }

    /// One counter or gauge of `/metrics`, by its name and labels as they stand there.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let text = self.client().get("/metrics").send().await.unwrap();
        let text = text.text().await.unwrap();
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
            .unwrap_or(0)
    }

    /// How often an event happened.
    pub(crate) async fn events(&self, event: &str) -> u64 {
        self.metric(&format!("session_events_total{{event=\"{event}\"}}"))
            .await
    }

    /// Sends bytes as they are, and returns all that comes back until the server closes.
    pub(crate) fn raw(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).expect("it is sent");
        // The server may have had enough of it already.
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        // A server that closes early is heard all the same.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let address = self.base.strip_prefix("http://").expect("http");
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// A program with a cookie store. Clones share it.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    jar: Arc<Jar>,
    base: Url,
}

impl Client {
    pub(crate) fn of(base: &str) -> Self {
        let jar = Arc::new(Jar::default());
        let http = reqwest::Client::builder()
            .cookie_provider(Arc::clone(&jar))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(LIMIT)
            .build()
            .expect("a client");
        let base = base.parse().expect("an address");
        Self { http, jar, base }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, self.base.join(path).expect("a path"))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).json(body)
    }

    pub(crate) fn put(&self, name: &str, value: &Value) -> RequestBuilder {
        self.request(Method::PUT, &format!("/api/session/entries/{name}"))
            .json(value)
    }

    pub(crate) fn delete(&self, path: &str) -> RequestBuilder {
        self.request(Method::DELETE, path)
            .header("content-type", "application/json")
    }

    /// A form as a browser sends it.
    pub(crate) fn form(&self, path: &str, body: &str) -> RequestBuilder {
        self.request(Method::POST, path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .header("sec-fetch-mode", "navigate")
            .body(body.to_owned())
    }

    /// The session as the server sees it.
    pub(crate) async fn session(&self) -> Value {
        json_of(self.get("/api/session").send().await.unwrap()).await
    }

    pub(crate) async fn id(&self) -> Option<String> {
        self.session().await["id"].as_str().map(str::to_owned)
    }

    pub(crate) async fn subject(&self) -> Option<String> {
        self.session().await["subject"].as_str().map(str::to_owned)
    }

    pub(crate) async fn entry(&self, name: &str) -> Value {
        self.session().await["entries"][name].clone()
    }

    pub(crate) async fn write(&self, name: &str, value: &Value) {
        let answer = self.put(name, value).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    }

    pub(crate) async fn sign_in(&self, user: &str) -> Value {
        let answer = self.try_sign_in(user, false).await;
        assert_eq!(answer.status(), StatusCode::OK, "{user} signs in");
        json_of(answer).await
    }

    pub(crate) async fn try_sign_in(&self, user: &str, remember: bool) -> Response {
        let password = match user {
            "alice" => "wonderland",
            _ => "builder",
        };
        let body = json!({"user": user, "password": password, "remember": remember});
        self.post("/api/sign-in", &body).send().await.unwrap()
    }

    pub(crate) async fn devices(&self) -> Vec<Value> {
        let answer = self.get("/api/devices").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        match json_of(answer).await {
            Value::Array(devices) => devices,
            other => panic!("not a list: {other}"),
        }
    }

    /// A slow request that is under way: it has loaded the session, and will write the entry `late`.
    pub(crate) async fn slow_in_flight(&self) -> tokio::task::JoinHandle<Response> {
        self.slow_in_flight_for(1_000).await
    }

    /// As [`Client::slow_in_flight`], for so many milliseconds.
    pub(crate) async fn slow_in_flight_for(&self, ms: u64) -> tokio::task::JoinHandle<Response> {
        let client = self.clone();
        let body = json!({"ms": ms, "name": "late", "value": 1});
        let task =
            tokio::spawn(async move { client.post("/api/slow", &body).send().await.unwrap() });
        // Nothing tells from outside that it has loaded; it has ample time to.
        tokio::time::sleep(Duration::from_millis(ms * 2 / 5)).await;
        assert!(!task.is_finished(), "it was not slow");
        task
    }

    /// What the cookie store would send: `id=…`.
    pub(crate) fn cookie(&self) -> Option<String> {
        let cookies = self.jar.cookies(&self.base)?;
        Some(cookies.to_str().expect("text").to_owned())
    }

    /// Puts a cookie into the store, in the place of one of the same name.
    pub(crate) fn plant(&self, cookie: &str) {
        self.jar
            .add_cookie_str(&format!("{cookie}; Path=/"), &self.base);
    }

    /// The same program, as the balancer sends it to another server of the same application.
    pub(crate) fn at(&self, server: &Server) -> Self {
        let base = server.base.parse().expect("an address");
        Self {
            base,
            ..self.clone()
        }
    }

    /// Another program that holds the same cookie now, and none that comes later.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::of(self.base.as_str());
        if let Some(cookie) = self.cookie() {
            copy.plant(&cookie);
        }
        copy
    }
}

pub(crate) async fn json_of(answer: Response) -> Value {
    let text = answer.text().await.expect("a body");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The `Set-Cookie` headers of an answer.
pub(crate) fn set_cookies(answer: &Response) -> Vec<String> {
    answer
        .headers()
        .get_all("set-cookie")
        .iter()
        .map(|value| value.to_str().expect("text").to_owned())
        .collect()
}

/// The `name=value` of a `Set-Cookie` header.
pub(crate) fn pair(set_cookie: &str) -> &str {
    set_cookie.split(';').next().unwrap_or_default()
}

/// Checks that an answer is a problem document of this status, and returns the last part of its type.
pub(crate) async fn problem(answer: Response, status: u16) -> String {
    assert_eq!(answer.status().as_u16(), status);
    assert_eq!(
        answer.headers()["content-type"],
        "application/problem+json",
        "of {status}"
    );
    let document = json_of(answer).await;
    assert_eq!(document["status"], status);
    assert!(
        document["title"]
            .as_str()
            .is_some_and(|title| !title.is_empty())
    );
    let kind = document["type"].as_str().expect("a type");
    let last = kind.rsplit(['/', ':']).next().expect("a last part");
    last.to_owned()
}

/// Milliseconds since 1970, by the clock that the server on this machine reads, too.
#[allow(
    clippy::disallowed_methods,
    reason = "the clock of a real server is the subject"
)]
pub(crate) fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(elapsed.as_millis()).unwrap()
}

/// Waits for something that another process is about to do.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(LIMIT * 2, waiting).await;
    assert!(waited.is_ok(), "it never happened: {what}");
}
