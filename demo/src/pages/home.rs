//! The shop.

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query, State};
use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;
use session_core::{SessionError, Verdict};
use session_tower::axum::Session;

use super::layout::Page;
use super::notice;
use super::visitor::Visitor;
use crate::app::App;
use crate::problem::{Kind, Problem};
use crate::shop::{self, CART, Cart, TEAS, VISITS};

pub(crate) async fn home(
    State(app): State<App>,
    session: Session,
    query: Result<Query<notice::Query>, QueryRejection>,
) -> Result<Markup, Problem> {
    // Whoever has no session gets none by looking: nothing is stored, and there is no cookie.
    if session.verdict().await? == Verdict::Accepted {
        match shop::update(&session, VISITS, count_one).await {
            // It ended a moment ago; the page is there for strangers, too.
            Ok(_) | Err(SessionError::Ended) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let visits = shop::read(&session, VISITS).await?.unwrap_or(0);
    let cart = shop::read(&session, CART).await?.unwrap_or_default();
    let visitor = Visitor::of(&session).await?;
    let body = html! {
        section.card {
            p.eyebrow { "A shop to try sessions on" }
            h1 { "Tea for a mad party" }
            (visits_line(&visitor, visits))
        }
        section aria-labelledby="shelf-title" {
            h2 #shelf-title { "On the shelf" }
            (shelf())
        }
        section.card aria-labelledby="cart-title" {
            h2 #cart-title { "Your cart" }
            (cart_table(&cart))
        }
    };
    let page = Page {
        title: "Shop",
        notice: query.ok().and_then(|query| query.notice()),
        body,
    };
    Ok(page.render(&app, &visitor))
}

fn visits_line(visitor: &Visitor, visits: u64) -> Markup {
    html! {
        @if visitor.live().is_some() {
            p.lead {
                "You looked at this page "
                strong #visits { (visits) }
                @if visits == 1 { " time" } @else { " times" }
                " in this session."
            }
        } @else {
            p.lead {
                "Nothing is stored about you: you have no session and no cookie until there is "
                "something to remember. Put tea into the cart, sign in, or have your visits counted."
            }
            form method="post" action="/visits" {
                button.quiet type="submit" { "Count my visits" }
            }
        }
    }
}

fn shelf() -> Markup {
    html! {
        ul.shelf {
            @for tea in &TEAS {
                li {
                    h3 { (tea.name) }
                    p.dim { (tea.note) }
                    div.buy {
                        span.price { (shop::price(tea.cents)) }
                        (one("add", tea, &html! {
                            button type="submit" aria-label={ "Add " (tea.name) " to the cart" } { "Add" }
                        }))
                    }
                }
            }
        }
    }
}

fn cart_table(cart: &Cart) -> Markup {
    html! {
        @if shop::lines(cart).next().is_none() {
            p.hint #empty { "It is empty. What you add stays, also when you sign in." }
        } @else {
            table {
                thead {
                    tr { th scope="col" { "Tea" } th scope="col" { "How many" } th.number scope="col" { "Price" } }
                }
                tbody {
                    @for (tea, count) in shop::lines(cart) {
                        tr {
                            th scope="row" { (tea.name) }
                            td {
                                span.count {
                                    (one("remove", tea, &html! {
                                        button.quiet.small type="submit" aria-label={ "One " (tea.name) " less" } { "−" }
                                    }))
                                    span { (count) }
                                    (one("add", tea, &html! {
                                        button.quiet.small type="submit" aria-label={ "One " (tea.name) " more" } { "+" }
                                    }))
                                }
                            }
                            td.number { (shop::price(tea.cents.saturating_mul(count))) }
                        }
                    }
                }
                tfoot {
                    tr {
                        th scope="row" colspan="2" { "Together" }
                        td.number { strong #total { (shop::price(shop::total(cart))) } }
                    }
                }
            }
            form method="post" action="/check-out" {
                button type="submit" { "Check out" }
            }
        }
    }
}

fn one(action: &str, tea: &shop::Tea, button: &Markup) -> Markup {
    html! {
        form method="post" action="/cart" {
            input type="hidden" name="action" value=(action);
            input type="hidden" name="tea" value=(tea.id);
            (button)
        }
    }
}

fn count_one(visits: Option<u64>) -> u64 {
    visits.unwrap_or(0).saturating_add(1)
}

/// The first visit that is counted makes the session.
pub(crate) async fn remember_visits(session: Session) -> Result<Redirect, Problem> {
    if shop::read(&session, VISITS).await?.is_none() {
        session.insert(VISITS, &0).await?;
    }
    Ok(Redirect::to("/"))
}

#[derive(Debug, Deserialize)]
pub(crate) struct OfCart {
    action: Action,
    tea: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Add,
    Remove,
}

pub(crate) async fn change_cart(
    session: Session,
    form: Result<Form<OfCart>, FormRejection>,
) -> Result<Redirect, Problem> {
    let Form(form) = form.map_err(|error| Problem::new(Kind::BadRequest, error.body_text()))?;
    let tea = shop::find(&form.tea)
        .ok_or_else(|| Problem::new(Kind::BadRequest, "that tea is not on the shelf"))?;
    let change = |cart: Option<Cart>| {
        let mut cart = cart.unwrap_or_default();
        match form.action {
            Action::Add => shop::add(&mut cart, tea),
            Action::Remove => shop::remove(&mut cart, tea),
        }
        cart
    };
    shop::update(&session, CART, change).await?;
    Ok(Redirect::to("/#cart-title"))
}
