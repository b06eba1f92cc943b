//! "My devices": the sessions of whoever is signed in.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Redirect;
use maud::{Markup, html};
use session_core::{Device, Timestamp};

use super::layout::Page;
use super::member::Member;
use super::notice::{self, Notice};
use super::time::{ago, time};
use super::to;
use super::visitor::Visitor;
use crate::app::App;
use crate::problem::{Kind, Problem};

pub(crate) async fn list(
    State(app): State<App>,
    Member(user): Member,
    query: Result<Query<notice::Query>, QueryRejection>,
) -> Result<Markup, Problem> {
    let devices = user.devices().await?;
    let visitor = Visitor::of(&user).await?;
    let page = Page {
        title: "My devices",
        notice: query.ok().and_then(|query| query.notice()),
        body: body(&devices, app.sessions().now()),
    };
    Ok(page.render(&app, &visitor))
}

fn body(devices: &[Device], now: Timestamp) -> Markup {
    html! {
        section.card {
            h1 { "My devices" }
            p.lead { "Everywhere you are signed in. What you sign out here is out at once." }
            ul.devices {
                @for device in devices { (item(device, now)) }
            }
        }
        section.card aria-labelledby="more-title" {
            h2 #more-title { "All at once" }
            div.row {
                form method="post" action="/sign-out-others" {
                    button.quiet type="submit" { "Sign out all others" }
                }
                form method="post" action="/sign-out-everywhere" {
                    button.danger type="submit" { "Sign out everywhere" }
                }
            }
        }
    }
}

fn item(device: &Device, now: Timestamp) -> Markup {
    let label = |name| device.labels.get(name).map_or("unknown", String::as_str);
    html! {
        li {
            div {
                p {
                    strong { (label("browser")) }
                    @if device.current { span.badge { "this device" } }
                }
                p.hint {
                    "from " (label("address"))
                    ", signed in " (time(device.created_at))
                    ", last seen " (ago(device.last_seen_at, now))
                }
                p.hint { code { (device.id) } }
            }
            form method="post" action={ "/devices/" (device.id) "/sign-out" } {
                button.quiet type="submit" aria-label={ "Sign out " (label("browser")) ", " (device.id) } {
                    "Sign out"
                }
            }
        }
    }
}

pub(crate) async fn sign_out_one(
    Member(user): Member,
    id: Result<Path<String>, PathRejection>,
) -> Result<Redirect, Problem> {
    let id = id
        .ok()
        .and_then(|Path(id)| id.parse().ok())
        .ok_or_else(|| Problem::new(Kind::NotFound, "that is not the id of a device"))?;
    if user.id().await? == Some(id) {
        user.destroy().await?;
        return Ok(to("/", Notice::SignedOut));
    }
    let notice = if user.sign_out_device(id).await? {
        Notice::DeviceSignedOut
    } else {
        Notice::DeviceGone
    };
    Ok(to("/devices", notice))
}

pub(crate) async fn sign_out_others(Member(user): Member) -> Result<Redirect, Problem> {
    user.sign_out_others().await?;
    Ok(to("/devices", Notice::SignedOutOthers))
}

pub(crate) async fn sign_out_everywhere(Member(user): Member) -> Result<Redirect, Problem> {
    user.sign_out_everywhere().await?;
    Ok(to("/", Notice::SignedOutEverywhere))
}
