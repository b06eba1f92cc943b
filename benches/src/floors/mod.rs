//! What stores stand on, used directly, with no session around it: bytes under an id.

mod memory;
mod postgres;
mod redis;

pub(crate) use memory::{dashmap, moka};
pub(crate) use postgres::sqlx;
pub(crate) use redis::redis_rs;

use session_core::{SessionId, Shard};

use crate::subject::Ground;

/// The ids of a floor's sessions, and what it keeps under each.
#[derive(Debug)]
struct Bytes {
    ids: Vec<[u8; 16]>,
    object: Vec<u8>,
}

impl Bytes {
    fn of(ground: &Ground) -> Self {
        Self {
            ids: (0..ground.sessions).map(|_| id()).collect(),
            object: ground.payload.to_object().to_string().into_bytes(),
        }
    }
}

fn id() -> [u8; 16] {
    *SessionId::generate(Shard::random()).as_bytes()
}
