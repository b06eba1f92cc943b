//! The session, as the server sees it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;
use session_core::{SessionError, SessionId, Timestamp};
use session_tower::axum::Session;

use crate::app::App;
use crate::problem::Problem;

/// What a program is told of its session. Instants are milliseconds since 1970.
#[derive(Debug, Serialize)]
pub(crate) struct SessionView {
    id: Option<SessionId>,
    is_new: bool,
    subject: Option<String>,
    created_at: Option<Timestamp>,
    last_seen_at: Option<Timestamp>,
    authenticated_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    deadline: Option<Timestamp>,
    entries: BTreeMap<String, Box<RawValue>>,
    node: String,
    store: &'static str,
}

impl SessionView {
    pub(crate) async fn of(
        app: &App,
        session: &session_core::Session,
    ) -> Result<Self, SessionError> {
        let record = session.record().await?;
        let record = record.as_ref();
        let mut entries = BTreeMap::new();
        for name in session.names().await? {
            // Entries are JSON: they were checked when they came in.
            if let Some(text) = session.text(&name).await?
                && let Ok(value) = RawValue::from_string(text)
            {
                entries.insert(name, value);
            }
        }
        Ok(Self {
            id: session.id().await?,
            is_new: session.is_new().await?,
            subject: session.subject().await?,
            created_at: record.map(session_core::Record::created_at),
            last_seen_at: record.map(session_core::Record::last_seen_at),
            authenticated_at: record.and_then(session_core::Record::authenticated_at),
            expires_at: record.map(session_core::Record::expires_at),
            deadline: record.map(session_core::Record::deadline),
            entries,
            node: app.node().to_owned(),
            store: app.store_name(),
        })
    }
}

pub(crate) async fn get(
    State(app): State<App>,
    session: Session,
) -> Result<Json<SessionView>, Problem> {
    Ok(Json(SessionView::of(&app, &session).await?))
}
