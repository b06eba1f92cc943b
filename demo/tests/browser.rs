//! The demo in a real browser: its cookie store, its caches, its back button, its scripts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

#[path = "support/chromium.rs"]
mod chromium;
mod support;

use chromium::{Chromium, Tab};
use support::Server;

async fn sign_in(tab: &Tab, server: &Server, user: &str, password: &str) {
    tab.open(&format!("{}/sign-in", server.base)).await;
    tab.fill("input[name=user]", user).await;
    tab.fill("input[name=password]", password).await;
    tab.click("form.stack button").await;
    tab.shows(&format!(
        "document.querySelector('#who')?.textContent === {user:?}"
    ))
    .await;
}

const ADD_ASSAM: &str = "button[aria-label='Add Assam to the cart']";
const ADD_SENCHA: &str = "button[aria-label='Add Sencha to the cart']";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium: cargo xtask test runs it"]
async fn a_browser_keeps_the_cookie_takes_the_cart_along_and_forgets_the_cookie() {
    let server = Server::start(&[]);
    let chromium = Chromium::start().await;
    let device = chromium.other_device().await;
    let tab = device.tab(&server.base).await;
    tab.says("Nothing is stored about you").await;
    assert!(tab.cookies(&server.base).await.is_empty());

    tab.click(ADD_ASSAM).await;
    tab.shows("document.querySelector('#total')?.textContent === '€ 5.40'")
        .await;
    let anonymous = tab.cookies(&server.base).await;
    assert_eq!(anonymous.len(), 1);
    let cookie = &anonymous[0];
    assert_eq!(cookie.name, "__Host-id");
    assert_eq!(
        (cookie.domain.as_str(), cookie.path.as_str()),
        ("127.0.0.1", "/")
    );
    assert!(cookie.secure && cookie.http_only && !cookie.session);
    assert_eq!(format!("{:?}", cookie.same_site), "Some(Lax)");
    assert_eq!(tab.text("document.cookie").await, "", "no script reads it");

    sign_in(&tab, &server, "alice", "wonderland").await;
    tab.shows("document.querySelector('#total')?.textContent === '€ 5.40'")
        .await;
    let signed_in = tab.cookies(&server.base).await;
    assert_eq!(signed_in.len(), 1);
    assert_ne!(signed_in[0].value, anonymous[0].value);

    tab.click("#sign-out").await;
    tab.says("You are signed out").await;
    assert!(tab.cookies(&server.base).await.is_empty());
    assert_eq!(server.metric("session_store_sessions").await, 0);
    chromium.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium: cargo xtask test runs it"]
async fn one_device_signs_out_the_other_which_is_told_at_once() {
    let server = Server::start(&[]);
    let chromium = Chromium::start().await;
    let (laptop, phone) = (chromium.other_device().await, chromium.other_device().await);
    let laptop = laptop.tab(&server.base).await;
    let phone = phone.tab(&server.base).await;
    sign_in(&laptop, &server, "alice", "wonderland").await;
    sign_in(&phone, &server, "alice", "wonderland").await;
    laptop.says("You signed in on another device").await;

    laptop.open(&format!("{}/devices", server.base)).await;
    laptop
        .shows("document.querySelectorAll('.devices li').length === 2")
        .await;
    laptop
        .shows("document.querySelectorAll('.devices .badge').length === 1")
        .await;
    laptop.click(".devices li:not(:has(.badge)) button").await;
    laptop.says("That device is signed out.").await;
    laptop
        .shows("document.querySelectorAll('.devices li').length === 1")
        .await;

    // Without being asked, and without being loaded anew.
    phone.says("The session has ended").await;
    phone.picture("told.png").await;
    phone.reload().await;
    phone.shows("document.querySelector('#who') === null").await;
    laptop.reload().await;
    laptop
        .shows("document.querySelector('#who')?.textContent === 'alice'")
        .await;
    chromium.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium: cargo xtask test runs it"]
async fn the_back_button_after_signing_out_shows_no_private_page() {
    let server = Server::start(&[]);
    let chromium = Chromium::start().await;
    let device = chromium.other_device().await;
    let tab = device.tab(&server.base).await;
    sign_in(&tab, &server, "alice", "wonderland").await;
    tab.open(&format!("{}/devices", server.base)).await;
    tab.says("this device").await;
    let id = tab
        .text("document.querySelector('.devices code').textContent")
        .await;
    tab.click("#sign-out").await;
    tab.says("You are signed out").await;

    // To the devices, and on to the page after the sign-in: both were private.
    for _ in 0..2 {
        tab.press_back().await;
        tab.shows("!location.search.includes('signed-out') && document.readyState === 'complete'")
            .await;
        let page = tab.text("document.documentElement.outerHTML").await;
        for private in [id.as_str(), "<strong id=\"who\">", "this device</span>"] {
            assert!(!page.contains(private), "{private}");
        }
    }
    chromium.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium: cargo xtask test runs it"]
async fn two_tabs_share_a_session_and_see_each_other() {
    let server = Server::start(&[]);
    let chromium = Chromium::start().await;
    let device = chromium.other_device().await;
    let first = device.tab(&server.base).await;
    sign_in(&first, &server, "bob", "builder").await;
    let second = device.tab(&server.base).await;
    second
        .shows("document.querySelector('#who')?.textContent === 'bob'")
        .await;

    second.click(ADD_SENCHA).await;
    second
        .shows("document.querySelector('#total')?.textContent === '€ 7.60'")
        .await;
    // The panel of the first tab hears of it.
    first.says("Its entries have changed").await;
    first
        .shows("document.querySelector('#session-details').innerText.includes('sencha')")
        .await;
    // And what the first tab adds, on a page that knows nothing of it, takes nothing away.
    first.click(ADD_ASSAM).await;
    first
        .shows("document.querySelector('#total')?.textContent === '€ 13.00'")
        .await;

    second.click("#sign-out").await;
    second.says("You are signed out").await;
    first.says("The session has ended").await;
    // A page that is still shown there writes to no session of bob's.
    first.click(ADD_ASSAM).await;
    first.shows("document.querySelector('#who') === null").await;
    chromium.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium: cargo xtask test runs it"]
async fn everything_works_without_scripts() {
    let server = Server::start(&[]);
    let chromium = Chromium::start().await;
    let device = chromium.other_device().await;
    let tab = device.tab(&server.base).await;
    tab.without_scripts().await;
    tab.reload().await;
    tab.click(ADD_ASSAM).await;
    tab.shows("document.querySelector('#total')?.textContent === '€ 5.40'")
        .await;
    sign_in(&tab, &server, "alice", "wonderland").await;
    tab.open(&format!("{}/devices", server.base)).await;
    tab.click(".danger").await;
    tab.says("You are signed out everywhere").await;
    assert!(tab.cookies(&server.base).await.is_empty());
    chromium.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium: cargo xtask test runs it"]
async fn pages_fit_a_phone_and_a_desktop() {
    let server = Server::start(&["--lab"]);
    let chromium = Chromium::start().await;
    let device = chromium.other_device().await;
    let tab = device.tab(&server.base).await;
    let sizes = [(320, true), (390, true), (820, true), (1280, false)];
    for page in ["stranger", "sign-in", "shop", "devices", "nowhere"] {
        match page {
            "shop" => {
                for button in [ADD_ASSAM, ADD_SENCHA] {
                    tab.open(&server.base).await;
                    tab.click(button).await;
                    tab.shows("document.querySelector('#total') !== null").await;
                }
                let other = device.tab(&server.base).await;
                sign_in(&other, &server, "alice", "wonderland").await;
                server.client().sign_in("alice").await;
                tab.open(&server.base).await;
            }
            "stranger" => tab.open(&server.base).await,
            path => tab.open(&format!("{}/{path}", server.base)).await,
        }
        for (width, is_phone) in sizes {
            tab.is_wide(width, is_phone).await;
            tab.shows("document.documentElement.scrollWidth <= window.innerWidth")
                .await;
            tab.picture(&format!("{page}-{width}.png")).await;
        }
        // The style is there: the policy lets it in.
        tab.shows("getComputedStyle(document.body).margin === '0px'")
            .await;
    }
    tab.is_dark().await;
    tab.open(&format!("{}/devices", server.base)).await;
    tab.picture("dark.png").await;
    chromium.close().await;
}
