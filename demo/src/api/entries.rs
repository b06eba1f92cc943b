//! Entries: written, removed, counted, and written late.

use std::time::Duration;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use session_core::{JsonText, SessionError};
use session_tower::axum::Session;

use super::body::{Json, JsonBytes};
use crate::problem::{Kind, Problem};

/// The longest that a program may have a request wait.
const MAX_WAIT: Duration = Duration::from_secs(10);

type Name = Result<Path<String>, PathRejection>;

fn name(name: Name) -> Result<String, Problem> {
    match name {
        Ok(Path(name)) => Ok(name),
        Err(error) => Err(Problem::new(Kind::BadRequest, error.body_text())),
    }
}

fn wait(ms: u64) -> Result<Duration, Problem> {
    let wait = Duration::from_millis(ms);
    if wait > MAX_WAIT {
        return Err(Problem::new(
            Kind::OutOfBounds,
            format!("{ms} ms is longer than {} s", MAX_WAIT.as_secs()),
        ));
    }
    Ok(wait)
}

/// Sets an entry to whatever JSON the body is, byte for byte.
pub(crate) async fn put(
    session: Session,
    path: Name,
    JsonBytes(bytes): JsonBytes,
) -> Result<StatusCode, Problem> {
    let name = name(path)?;
    let bad = |error: &dyn std::error::Error| Problem::new(Kind::BadJson, error.to_string());
    let text = std::str::from_utf8(&bytes).map_err(|error| bad(&error))?;
    let value = JsonText::parse(text).map_err(|error| bad(&error))?;
    session.insert_text(&name, value).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes an entry; it is no error if there is none.
pub(crate) async fn delete(session: Session, path: Name) -> Result<StatusCode, Problem> {
    session.remove::<IgnoredAny>(&name(path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Increment {
    #[serde(default = "one")]
    by: i64,
    #[serde(default)]
    hold_ms: u64,
}

const fn one() -> i64 {
    1
}

#[derive(Debug, Serialize)]
pub(crate) struct Counted {
    name: String,
    value: i64,
}

/// Adds to an entry that is a whole number, as one step, however long it takes between read and write.
pub(crate) async fn increment(
    session: Session,
    path: Name,
    Json(Increment { by, hold_ms }): Json<Increment>,
) -> Result<axum::Json<Counted>, Problem> {
    let (name, hold) = (name(path)?, wait(hold_ms)?);
    let add = move |value: Option<i64>| async move {
        tokio::time::sleep(hold).await;
        value.unwrap_or(0).saturating_add(by)
    };
    match session.update(&name, add).await {
        Ok(value) => Ok(axum::Json(Counted { name, value })),
        Err(SessionError::Decode { source, .. }) => {
            Err(Problem::new(Kind::NotANumber, source.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slow {
    ms: u64,
    name: String,
    value: Box<RawValue>,
}

/// Loads the session, waits, and writes: what a slow handler does.
pub(crate) async fn slow(
    session: Session,
    Json(Slow { ms, name, value }): Json<Slow>,
) -> Result<StatusCode, Problem> {
    let wait = wait(ms)?;
    let value = JsonText::parse(value.get())
        .map_err(|error| Problem::new(Kind::BadJson, error.to_string()))?;
    session.id().await?;
    tokio::time::sleep(wait).await;
    session.insert_text(&name, value).await?;
    Ok(StatusCode::NO_CONTENT)
}
