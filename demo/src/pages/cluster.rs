//! The cluster that this program is a node of, as this node sees it.

use maud::{Markup, html};
use session_core::Timestamp;
use store_cluster::MemberStatus;

use super::layout;
use super::time::{ago, ahead, time};
use crate::cluster::{Node, reasons};

pub(crate) fn cluster(node: &Node, now: Timestamp) -> Markup {
    let (members, usage, refused) = (
        node.store.members(),
        node.store.usage(),
        node.store.refused(),
    );
    let body = html! {
        section.card {
            p.eyebrow { "Cluster " (node.cluster) }
            h1 #node { "Node " (node.name) }
            p.lead {
                "It listens for the others at " code { (node.store.address()) } ", "
                @if node.store.is_ready() { "and holds what they hold." }
                @else { strong { "and does not hold yet what they hold." } }
            }
            dl {
                dt { "Sessions" } dd #sessions { (usage.sessions) }
                dt { "Ends remembered" } dd #tombstones { (usage.tombstones) }
                dt { "Bytes" } dd #bytes { (usage.bytes) }
                @if let Some(expires_at) = node.store.certificate_expires_at() {
                    dt { "Certificate expires" } dd { (ahead(expires_at, now)) ", " (time(expires_at)) }
                }
            }
        }
        section.card aria-labelledby="others-title" {
            h2 #others-title { "The others" }
            @if members.is_empty() {
                p { "None: this node is alone." }
            } @else {
                div.scrolls {
                    table {
                        thead {
                            tr {
                                th scope="col" { "Node" }
                                th scope="col" { "Listens at" }
                                th scope="col" { "Started" }
                                th scope="col" { "State" }
                                th scope="col" { "Lags behind by" }
                            }
                        }
                        tbody { @for member in &members { (row(member, now)) } }
                    }
                }
                p.hint {
                    "A node that is down and has not left may come back with sessions of its own: until it is \
                     started again, nobody says of a session that there is none."
                }
            }
        }
        section.card aria-labelledby="refused-title" {
            h2 #refused-title { "Refused, since it started" }
            dl { @for (reason, count) in reasons(refused) { dt { (reason) } dd { (count) } } }
        }
    };
    layout::without_session(&format!("Node {}", node.name), &body)
}

fn row(member: &MemberStatus, now: Timestamp) -> Markup {
    html! {
        tr {
            th scope="row" { (member.node) }
            td { code { (member.address) } }
            td { (ago(member.started_at, now)) " " (time(member.started_at)) }
            td { (state(member)) }
            td { (member.lag) @if member.lag == 1 { " change" } @else { " changes" } }
        }
    }
}

const fn state(member: &MemberStatus) -> &'static str {
    match (member.is_up, member.is_linked, member.is_ready) {
        (_, true, true) => "ready",
        (_, true, false) => "learning what the others hold",
        (true, false, _) => "up, without a link to it",
        (false, false, _) => "down",
    }
}
