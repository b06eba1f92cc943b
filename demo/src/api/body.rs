//! Bodies of requests, refused with problem documents.

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use crate::problem::{Kind, Problem};

/// The longest body of a request.
const MAX_BODY: usize = 64 << 10;
/// The longest body that is a value: 1 MiB is legal, and the session judges what is a little longer.
const MAX_VALUE: usize = (1 << 20) + (4 << 10);
/// How much of a body that is too long is read, so that its sender hears why it is refused instead of a
/// connection that breaks.
const MAX_READ: usize = 8 << 20;

/// A body that is JSON, and says so. An empty one is `{}`.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// A body that is JSON, as the text it is.
#[derive(Debug)]
pub(crate) struct JsonBytes(pub(crate) Vec<u8>);

impl<S: Send + Sync> FromRequest<S> for JsonBytes {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read(request, MAX_VALUE).await.map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = read(request, MAX_BODY).await?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text)
            .map(Self)
            .map_err(|error| Problem::new(Kind::BadJson, error.to_string()))
    }
}

async fn read(request: Request, limit: usize) -> Result<Vec<u8>, Problem> {
    if !is_json(request.headers()) {
        return Err(Problem::new(
            Kind::UnsupportedMediaType,
            "Content-Type must be application/json",
        ));
    }
    let mut body = request.into_body();
    let (mut bytes, mut len) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Kind::BadRequest, "the body is cut short"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        len = len.saturating_add(data.len());
        if len <= limit {
            bytes.extend_from_slice(&data);
        } else if len > MAX_READ {
            break;
        }
    }
    if len > limit {
        return Err(Problem::new(
            Kind::TooLarge,
            format!("at most {limit} bytes are taken"),
        ));
    }
    Ok(bytes)
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}
