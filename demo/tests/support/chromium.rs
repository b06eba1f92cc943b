//! A real browser: Chromium, steered through its DevTools protocol.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chromiumoxide::browser::{Browser, BrowserConfig};
use chromiumoxide::cdp::browser_protocol::browser::BrowserContextId;
use chromiumoxide::cdp::browser_protocol::dom::{
    GetContentQuadsParams, ScrollIntoViewIfNeededParams,
};
use chromiumoxide::cdp::browser_protocol::emulation::{
    MediaFeature, SetDeviceMetricsOverrideParams, SetScriptExecutionDisabledParams,
};
use chromiumoxide::cdp::browser_protocol::network::{Cookie, GetCookiesParams};
use chromiumoxide::cdp::browser_protocol::target::{
    CreateBrowserContextParams, CreateTargetParams,
};
use chromiumoxide::layout::Point;
use chromiumoxide::page::{Page, ScreenshotParams};
use futures_util::StreamExt;
use tokio::task::JoinHandle;

use super::support::LIMIT;

/// Which browser to use; else the one that is found.
const PATH: &str = "SESSION_TEST_CHROMIUM";
/// A folder for pictures, if somebody wants to look at them.
const PICTURES: &str = "SESSION_TEST_PICTURES";

/// A browser. Ends with [`Chromium::close`].
pub(crate) struct Chromium {
    browser: Browser,
    handler: JoinHandle<()>,
    profile: PathBuf,
}

impl Chromium {
    pub(crate) async fn start() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let profile = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("chromium-{}-{number}", std::process::id()));
        let mut config = BrowserConfig::builder()
            .new_headless_mode()
            .no_sandbox()
            .window_size(1280, 900)
            .viewport(None)
            .user_data_dir(&profile)
            .launch_timeout(Duration::from_secs(60))
            .request_timeout(LIMIT);
        if let Some(path) = std::env::var_os(PATH) {
            config = config.chrome_executable(PathBuf::from(path));
        }
        let config = config.build().expect("Chromium is installed");
        let (browser, mut events) = Browser::launch(config).await.expect("Chromium starts");
        let handler = tokio::spawn(async move { while events.next().await.is_some() {} });
        Self {
            browser,
            handler,
            profile,
        }
    }

    /// A browser of somebody else: its own cookies, its own cache.
    pub(crate) async fn other_device(&self) -> Device<'_> {
        let context = self
            .browser
            .create_browser_context(CreateBrowserContextParams::default())
            .await
            .expect("a context");
        Device {
            browser: &self.browser,
            context,
        }
    }

    pub(crate) async fn close(mut self) {
        self.browser.close().await.expect("it closes");
        self.browser.wait().await.expect("it ends");
        self.handler.abort();
        // What is left of it is in the target folder.
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// Somebody's browser, with its own cookies.
pub(crate) struct Device<'b> {
    browser: &'b Browser,
    context: BrowserContextId,
}

impl Device<'_> {
    pub(crate) async fn tab(&self, url: &str) -> Tab {
        let target = CreateTargetParams::builder()
            .url("about:blank")
            .browser_context_id(self.context.clone())
            .build()
            .expect("a target");
        let page = self.browser.new_page(target).await.expect("a tab");
        let tab = Tab { page };
        tab.open(url).await;
        tab
    }
}

/// A tab.
pub(crate) struct Tab {
    page: Page,
}

/// Waits for the browser, within the time limit of all tests.
async fn in_time<T, E: std::fmt::Debug>(what: &str, work: impl Future<Output = Result<T, E>>) -> T {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => panic!("{what}: {error:?}"),
        Err(_) => panic!("{what}: it takes too long"),
    }
}

impl Tab {
    pub(crate) async fn open(&self, url: &str) {
        in_time(url, self.page.goto(url)).await;
    }

    pub(crate) async fn reload(&self) {
        in_time("reload", self.page.reload()).await;
    }

    /// What an expression is at present; nothing while a page is being left for another.
    async fn value(&self, expression: &str) -> Option<serde_json::Value> {
        let evaluate = self.page.evaluate_expression(expression);
        let soon = Duration::from_secs(5);
        let value = tokio::time::timeout(soon, evaluate).await.ok()?.ok()?;
        value.value().cloned()
    }

    pub(crate) async fn text(&self, expression: &str) -> String {
        match self.value(expression).await {
            Some(serde_json::Value::String(text)) => text,
            other => panic!("{expression} is no text: {other:?}"),
        }
    }

    /// Waits until this holds, in the page that is then there.
    pub(crate) async fn shows(&self, expression: &str) {
        let holds = async {
            while self.value(expression).await != Some(serde_json::Value::Bool(true)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(LIMIT, holds).await.is_err() {
            let page = self.value("location.href + '\\n' + document.body.innerText");
            panic!("it never came to {expression}:\n{:?}", page.await);
        }
    }

    /// Waits until this stands somewhere on the page.
    pub(crate) async fn says(&self, text: &str) {
        let text = serde_json::to_string(text).unwrap();
        self.shows(&format!("document.body.innerText.includes({text})"))
            .await;
    }

    /// Clicks where a person would: at the middle of what the selector names.
    pub(crate) async fn click(&self, selector: &str) {
        in_time(selector, self.page.bring_to_front()).await;
        self.shows(&format!("document.querySelector({selector:?}) !== null"))
            .await;
        // Neither of these runs a script of the page's: that works where scripts are off.
        let element = in_time(selector, self.page.find_element(selector)).await;
        let node = element.backend_node_id;
        let into_view = ScrollIntoViewIfNeededParams::builder()
            .backend_node_id(node)
            .build();
        in_time(selector, self.page.execute(into_view)).await;
        let place = GetContentQuadsParams::builder()
            .backend_node_id(node)
            .build();
        let place = in_time(selector, self.page.execute(place)).await;
        let corners = place.quads[0].inner();
        let middle = |at: usize| corners.iter().skip(at).step_by(2).sum::<f64>() / 4.0;
        let point = Point {
            x: middle(0),
            y: middle(1),
        };
        in_time(selector, self.page.click(point)).await;
    }

    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        self.click(selector).await;
        let element = in_time(selector, self.page.find_element(selector)).await;
        in_time(selector, element.type_str(text)).await;
    }

    pub(crate) async fn press_back(&self) {
        // The page that runs it is left at once: there may be no answer.
        self.value("history.back()").await;
    }

    /// The cookies that the browser holds for a page.
    pub(crate) async fn cookies(&self, url: &str) -> Vec<Cookie> {
        let cookies = GetCookiesParams::builder().url(url).build();
        in_time("cookies", self.page.execute(cookies))
            .await
            .result
            .cookies
    }

    pub(crate) async fn without_scripts(&self) {
        let disabled = SetScriptExecutionDisabledParams::new(true);
        in_time("no scripts", self.page.execute(disabled)).await;
    }

    pub(crate) async fn is_wide(&self, width: i64, is_phone: bool) {
        let metrics = SetDeviceMetricsOverrideParams::new(width, 800, 1.0, is_phone);
        in_time("a size", self.page.execute(metrics)).await;
    }

    pub(crate) async fn is_dark(&self) {
        let dark = MediaFeature::new("prefers-color-scheme", "dark");
        in_time("night", self.page.emulate_media_features(vec![dark])).await;
    }

    /// Keeps a picture, if somebody wants one.
    pub(crate) async fn picture(&self, name: &str) {
        if let Some(folder) = std::env::var_os(PICTURES) {
            in_time(name, self.page.bring_to_front()).await;
            let whole = ScreenshotParams::builder().full_page(true).build();
            let path = Path::new(&folder).join(name);
            in_time(name, self.page.save_screenshot(whole, path)).await;
        }
    }
}
