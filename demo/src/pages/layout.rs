//! What all pages have in common.

use axum::http::StatusCode;
use maud::{DOCTYPE, Markup, html};

use super::notice::Notice;
use super::panel;
use super::visitor::Visitor;
use crate::app::App;

/// A page: its title, what was just done, and what stands in it.
pub(crate) struct Page<'a> {
    pub(crate) title: &'a str,
    pub(crate) notice: Option<Notice>,
    pub(crate) body: Markup,
}

impl Page<'_> {
    pub(crate) fn render(self, app: &App, visitor: &Visitor) -> Markup {
        let body = html! {
            (header(Some(visitor)))
            div.columns {
                main #content tabindex="-1" {
                    @if let Some(notice) = self.notice {
                        p.notice role="status" { (notice.text()) }
                    }
                    (self.body)
                }
                (panel::panel(app, visitor))
            }
        };
        document(self.title, visitor.csrf_token(), &body)
    }
}

/// A page about something that went wrong. Of the session it knows nothing.
pub(crate) fn error(status: StatusCode, title: &str, detail: &str) -> Markup {
    let body = html! {
        section.card {
            p.eyebrow { (status.as_u16()) }
            h1 { (title) }
            @if !detail.is_empty() { p.lead { "In short: " (detail) "." } }
            p { a.button href="/" { "Back to the shop" } }
        }
    };
    without_session(title, &body)
}

/// A page that knows nothing of the session, and needs none.
pub(super) fn without_session(title: &str, body: &Markup) -> Markup {
    let body = html! {
        (header(None))
        div.columns { main #content tabindex="-1" { (body) } }
    };
    document(title, None, &body)
}

fn document(title: &str, csrf_token: Option<&str>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(token) = csrf_token {
                    meta name="csrf-token" content=(token);
                }
                title { (title) " · The Tea Shelf" }
                link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/assets/style.css";
                script src="/assets/live.js" defer {}
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                (body)
                footer {
                    p {
                        "A demo of sessions: the shop is made up. For those who run it: "
                        a href="/metrics" { "metrics" } ", " a href="/healthz" { "health" } "."
                    }
                }
            }
        }
    }
}

fn header(visitor: Option<&Visitor>) -> Markup {
    html! {
        header.top {
            a.brand href="/" {
                img src="/assets/icon.svg" alt="" width="28" height="28";
                span { "The Tea Shelf" }
            }
            nav aria-label="Main" {
                a href="/" { "Shop" }
                a href="/devices" { "My devices" }
            }
            @if let Some(visitor) = visitor {
                div.account {
                    @if let Some(name) = visitor.subject() {
                        span { "Signed in as " strong #who { (name) } }
                        form method="post" action="/sign-out" {
                            button.quiet #sign-out type="submit" { "Sign out" }
                        }
                    } @else {
                        a.button href="/sign-in" { "Sign in" }
                    }
                }
            }
        }
    }
}
