//! The sessions of whoever is signed in.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use serde::Serialize;
use session_core::{Device, SessionId, Timestamp};
use session_tower::axum::SignedIn;

use crate::problem::{Kind, Problem};

/// One of them. Its id ends it and grants nothing. Instants are milliseconds since 1970.
#[derive(Debug, Serialize)]
pub(crate) struct DeviceView {
    id: SessionId,
    current: bool,
    created_at: Timestamp,
    last_seen_at: Timestamp,
    expires_at: Timestamp,
    labels: BTreeMap<String, String>,
}

impl From<Device> for DeviceView {
    fn from(device: Device) -> Self {
        Self {
            id: device.id,
            current: device.current,
            created_at: device.created_at,
            last_seen_at: device.last_seen_at,
            expires_at: device.expires_at,
            labels: device.labels,
        }
    }
}

pub(crate) async fn list(user: SignedIn) -> Result<Json<Vec<DeviceView>>, Problem> {
    let devices = user.devices().await?;
    Ok(Json(devices.into_iter().map(DeviceView::from).collect()))
}

pub(crate) async fn sign_out(
    user: SignedIn,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let unknown = || Problem::new(Kind::NotFound, "no device of yours has this id");
    let id: SessionId = id
        .ok()
        .and_then(|Path(id)| id.parse().ok())
        .ok_or_else(unknown)?;
    if user.id().await? == Some(id) {
        user.destroy().await?;
    } else if !user.sign_out_device(id).await? {
        return Err(unknown());
    }
    Ok(StatusCode::NO_CONTENT)
}
