//! Ending sessions: this one, the others, all.

use super::error::SessionError;
use super::event::{EndCause, EventKind};
use super::session::Session;
use super::sessions::Sessions;
use super::state::{Base, Live};
use crate::change::Renewal;
use crate::error::{Applied, StoreError};
use crate::feed::FeedItem;
use crate::id::SessionId;
use crate::name::Subject;
use crate::store::{Freshness, Loaded};
use crate::token::{SessionSecret, SessionToken};

impl Sessions {
    /// Ends a session and tells so. Ending is final, so what stayed unknown is sent again.
    pub(super) async fn end(
        &self,
        id: SessionId,
        cause: EndCause,
        subject: Option<&str>,
    ) -> Result<bool, StoreError> {
        let store = self.store();
        let ended = match store.delete(id).await {
            Err(error) if error.applied() == Applied::Unknown => store.delete(id).await?,
            answer => answer?,
        };
        if ended {
            self.tell(EventKind::Destroyed(cause), Some(id), subject);
        }
        Ok(ended)
    }

    /// Ends all sessions of a subject but one, and refuses every sign-in of it that is under way: what
    /// an application does when a password changes or an account is closed.
    ///
    /// # Errors
    ///
    /// `Unavailable`. Some sessions may then live on; calling again is safe.
    #[doc(alias = "revoke_all")]
    pub async fn sign_out_everywhere(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let store = self.store();
        let ended = match store.revoke(subject, except).await {
            Err(error) if error.applied() == Applied::Unknown => {
                store.revoke(subject, except).await?
            }
            answer => answer?,
        };
        let cause = match except {
            Some(_) => EndCause::SignOutOthers,
            None => EndCause::SignOutEverywhere,
        };
        for id in &ended {
            self.tell(
                EventKind::Destroyed(cause),
                Some(*id),
                Some(subject.as_str()),
            );
        }
        Ok(ended)
    }
}

impl Session {
    /// Ends the session, at once: signs out. Pending edits are dropped, and the response removes the
    /// cookie. Without a session it does nothing.
    ///
    /// # Errors
    ///
    /// The store's failure: the session may live on.
    #[doc(alias = "flush")]
    #[doc(alias = "purge")]
    #[doc(alias = "logout")]
    pub async fn destroy(&self) -> Result<(), SessionError> {
        self.load().await?;
        self.at_once(|session| async move {
            let Some(live) = session.state(|state| state.live().cloned()) else {
                session.state(|state| state.pending = crate::Change::new());
                return Ok(());
            };
            if let Some(predecessor) = live.record.predecessor() {
                session.end_replaced(predecessor).await?;
            }
            session
                .sessions()
                .end(live.id, EndCause::SignOut, live.record.subject())
                .await?;
            session.state(|state| state.end(true));
            Ok(())
        })
        .await
    }

    /// Gives the session a new secret, at once; its id stays. The former one stays accepted until the new
    /// one is first presented, and 30 s longer.
    ///
    /// # Errors
    ///
    /// [`SessionError::Conflict`] if the presented secret was replaced already;
    /// [`SessionError::Ended`]; [`SessionError::Committed`]; the store's failure.
    #[doc(alias = "cycle_id")]
    #[doc(alias = "regenerate")]
    pub async fn renew(&self) -> Result<(), SessionError> {
        self.load().await?;
        self.at_once(|session| async move { session.renew_now().await })
            .await
    }

    async fn renew_now(&self) -> Result<(), SessionError> {
        if self.state(|state| state.committed) {
            return Err(SessionError::Committed);
        }
        let live = match self.state(|state| state.base.clone()) {
            Base::Live(live) => live,
            Base::Empty { .. } => return Ok(()),
            Base::Superseded => return Err(SessionError::Superseded),
            Base::Ended => return Err(SessionError::Ended),
        };
        let secret = SessionSecret::generate();
        let renewal = Renewal {
            issue: secret.hash(),
            replaces: live.secret,
            soft: false,
        };
        let change = self.with_use(crate::Change::new().renew(renewal), &live);
        let record = self.apply(&live, change).await?;
        self.sessions()
            .tell(EventKind::Renewed, Some(live.id), record.subject());
        let token = SessionToken {
            id: live.id,
            secret,
        };
        self.state(|state| state.adopt(token, record, false));
        Ok(())
    }

    /// Ends all other sessions of the subject, at once, and renews this one's secret if a cookie can
    /// still be sent. Returns how many it ended.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotSignedIn`], [`SessionError::Ended`]; the store's failure.
    pub async fn sign_out_others(&self) -> Result<usize, SessionError> {
        self.load().await?;
        self.at_once(|session| async move {
            let (subject, live) = session.signed_in()?;
            let ended = session
                .sessions()
                .sign_out_everywhere(&subject, Some(live.id))
                .await?;
            match session.renew_now().await {
                // The presented secret was replaced already, and this client has its new one; or the
                // answer is under way, and can bring it none.
                Ok(()) | Err(SessionError::Conflict | SessionError::Committed) => Ok(ended.len()),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Ends all sessions of the subject, at once, this one included. Sign-ins that began before are
    /// refused. Returns how many it ended.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotSignedIn`]; the store's failure.
    pub async fn sign_out_everywhere(&self) -> Result<usize, SessionError> {
        self.load().await?;
        self.at_once(|session| async move {
            let (subject, live) = session.signed_in()?;
            let ended = session
                .sessions()
                .sign_out_everywhere(&subject, None)
                .await?;
            if let Some(predecessor) = live.record.predecessor() {
                session.end_replaced(predecessor).await?;
            }
            session.state(|state| state.end(true));
            Ok(ended.len())
        })
        .await
    }

    pub(super) fn signed_in(&self) -> Result<(Subject, Live), SessionError> {
        let live = self
            .state(|state| state.live().cloned())
            .ok_or(SessionError::NotSignedIn)?;
        let subject = live.record.subject().ok_or(SessionError::NotSignedIn)?;
        Ok((Subject::new(subject)?, live))
    }

    /// Resolves when the session has ended, by whatever server, or has expired: for sockets and streams
    /// that outlive their request. At once without a session. A feed's gap, or a store without a feed, is
    /// bridged by asking the store every half minute.
    pub async fn ended(&self) {
        const ASK_EVERY: std::time::Duration = std::time::Duration::from_secs(30);
        if self.load().await.is_err() {
            return;
        }
        let Some(id) = self.state(|state| state.live().map(|live| live.id)) else {
            return;
        };
        let store = self.sessions().store();
        let mut feed = store.abilities().watch.map(|watch| watch.watch());
        loop {
            let expires_in = match store.load(id, Freshness::Source).await {
                Ok(Loaded::Live(record)) => record.expires_at().since(self.sessions().now()),
                Ok(_) => return,
                Err(_) => ASK_EVERY,
            };
            let wait = expires_in.clamp(std::time::Duration::from_millis(1), ASK_EVERY);
            let news = async {
                match &mut feed {
                    Some(feed) => loop {
                        match feed.next().await {
                            Some(FeedItem::Ended(ended) | FeedItem::Expired(ended))
                                if ended == id =>
                            {
                                return true;
                            }
                            Some(FeedItem::Gap) => return false,
                            Some(_) => {}
                            None => std::future::pending().await,
                        }
                    },
                    None => std::future::pending().await,
                }
            };
            if let Ok(true) = tokio::time::timeout(wait, news).await {
                return;
            }
        }
    }
}
