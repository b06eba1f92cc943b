//! Walking all sessions.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use redis::{FromRedisValue, Value};
use session_core::{Deadline, Loaded, Record, Scan, SessionId, StoreError};

use crate::answer::loaded;
use crate::command::Command;
use crate::connection::Connection;
use crate::failure::unavailable;
use crate::keys::id_of;
use crate::store::{RedisStore, Shared};

/// The ids that a walk has yet to come to.
///
/// Redis lists keys in no order, so a walk begins by listing all of them. They are kept, at most so
/// many, for the pages that follow.
#[derive(Debug, Default)]
pub(crate) struct Walk(Mutex<Option<Rest>>);

#[derive(Debug)]
struct Rest {
    /// The last id of the page before.
    after: SessionId,
    ids: std::vec::IntoIter<SessionId>,
    /// Whether there are more after these.
    is_cut: bool,
}

/// How many ids are kept: 16 MiB.
const KEPT: usize = 1 << 20;
/// How many keys the server looks at in one step.
const LOOKS: usize = 1000;

/// A walk first lists all keys, a thousand at a step, which no other call waits for. It shows what was there
/// when its first page was asked for; sessions that begin meanwhile may be missing. One walk at a time keeps
/// its place: the pages of several that take turns are each found by a new listing.
///
/// A page may take as long as the listing does. Every step of it ends within the store's time limit.
#[async_trait]
impl Scan for RedisStore {
    async fn scan(
        &self,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let store = &*self.0;
        let mut sessions = Vec::new();
        let mut after = after;
        let kept = store.walk.0.lock().take();
        let mut rest = match (kept, after) {
            (Some(rest), Some(after)) if rest.after == after => rest,
            _ => store.list(after).await?,
        };
        while sessions.len() < limit {
            let next: Vec<_> = rest.ids.by_ref().take(limit - sessions.len()).collect();
            match next.last() {
                Some(last) => after = Some(*last),
                None if rest.is_cut => {
                    rest = store.list(after).await?;
                    continue;
                }
                None => break,
            }
            sessions.extend(store.load_all(&next).await?);
        }
        if let Some((last, _)) = sessions.last() {
            // What comes after the last id looked at comes after the last one shown, too.
            rest.after = *last;
            *store.walk.0.lock() = Some(rest);
        }
        Ok(sessions)
    }
}

impl Shared {
    /// Lists the first ids after one.
    async fn list(&self, after: Option<SessionId>) -> Result<Rest, StoreError> {
        let mut ids = BTreeSet::new();
        let mut is_cut = false;
        for node in self.client.masters().await? {
            let connection = node.connection(&self.client.connector).await?;
            let mut cursor = 0;
            loop {
                let (next, keys) = self.look(&connection, cursor).await?;
                let found = keys.iter().filter_map(|key| id_of(key));
                ids.extend(found.filter(|id| Some(*id) > after));
                while ids.len() > KEPT {
                    ids.pop_last();
                    is_cut = true;
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        let ids: Vec<_> = ids.into_iter().collect();
        Ok(Rest {
            after: after.unwrap_or(SessionId::from_bytes([0; 16])),
            ids: ids.into_iter(),
            is_cut,
        })
    }

    async fn look(
        &self,
        connection: &Arc<Connection>,
        cursor: u64,
    ) -> Result<(u64, Vec<Vec<u8>>), StoreError> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor)
            .arg("MATCH")
            .arg(self.keys.all_sessions())
            .arg("COUNT")
            .arg(LOOKS);
        let answer = tokio::time::timeout(self.client.limit, connection.ask(&scan)).await;
        let value: Value = answer
            .map_err(|_| unavailable().because("no answer in time"))?
            .map_err(|error| unavailable().because(error))?;
        FromRedisValue::from_redis_value(value).map_err(|error| unavailable().because(error))
    }

    async fn load_all(&self, ids: &[SessionId]) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let by = self.client.deadline();
        let loads = ids.iter().map(|id| self.load_one(*id, by));
        let loads = futures_util::future::try_join_all(loads).await?;
        Ok(loads.into_iter().flatten().collect())
    }

    async fn load_one(
        &self,
        id: SessionId,
        by: Deadline,
    ) -> Result<Option<(SessionId, Record)>, StoreError> {
        let now = self.clock.test();
        let mut command = Command::get(&self.keys.session(id), id.shard());
        let value = self.client.run(&mut command, by).await?;
        Ok(match loaded(value, now)? {
            Loaded::Live(record) => Some((id, record)),
            Loaded::Ended(_) | Loaded::Absent => None,
        })
    }
}
