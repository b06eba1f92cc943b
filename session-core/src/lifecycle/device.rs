//! The list of a subject's sessions, for people: "my devices".

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::error::SessionError;
use super::event::EndCause;
use super::reserved;
use super::session::Session;
use crate::id::SessionId;
use crate::store::{Freshness, Loaded};
use crate::time::Timestamp;

/// One session of a subject, as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Device {
    /// The session's public id, to end it by.
    pub id: SessionId,
    /// Whether it is the session that asks.
    pub current: bool,
    /// When it was signed in.
    pub created_at: Timestamp,
    /// When it was last used, to within the touch interval.
    pub last_seen_at: Timestamp,
    /// When it ends unless it is used again.
    pub expires_at: Timestamp,
    /// What the application gave it as labels at its sign-in.
    pub labels: BTreeMap<String, String>,
}

impl Serialize for SessionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Session {
    /// The live sessions of the subject that is signed in, the newest first. One that another has
    /// replaced is not listed beside it.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotSignedIn`]; the store's failure.
    pub async fn devices(&self) -> Result<Vec<Device>, SessionError> {
        self.load().await?;
        let (subject, live) = self.signed_in()?;
        let mut listed = self.sessions().store().sessions_of(&subject).await?;
        let replaced: BTreeSet<_> = listed
            .iter()
            .filter_map(|(_, record)| record.predecessor())
            .collect();
        listed.retain(|(id, _)| !replaced.contains(id) || *id == live.id);
        listed.sort_by_key(|(id, record)| std::cmp::Reverse((record.created_at(), *id)));
        let device = |(id, record): (SessionId, crate::Record)| Device {
            id,
            current: id == live.id,
            created_at: record.created_at(),
            last_seen_at: record.last_seen_at(),
            expires_at: record.expires_at(),
            labels: reserved::labels(&record),
        };
        Ok(listed.into_iter().map(device).collect())
    }

    /// Ends one session of the subject that is signed in. Says whether there was such a session: one of
    /// another subject is not. To end this very session, use [`Session::destroy`].
    ///
    /// # Errors
    ///
    /// [`SessionError::NotSignedIn`]; the store's failure.
    pub async fn sign_out_device(&self, id: SessionId) -> Result<bool, SessionError> {
        self.load().await?;
        self.at_once(move |session| async move {
            let (subject, _) = session.signed_in()?;
            let loaded = session
                .sessions()
                .store()
                .load(id, Freshness::Source)
                .await?;
            let Loaded::Live(record) = loaded else {
                return Ok(false);
            };
            if record.subject() != Some(subject.as_str()) {
                return Ok(false);
            }
            if let Some(predecessor) = record.predecessor() {
                session.end_replaced(predecessor).await?;
            }
            Ok(session
                .sessions()
                .end(id, EndCause::SignOutOthers, record.subject())
                .await?)
        })
        .await
    }
}
