//! Who looks at a page.

use session_core::{Record, Session, SessionError, SessionId};

/// Who looks at a page: the session as the server has it, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Visitor {
    live: Option<(SessionId, Record)>,
    csrf_token: Option<String>,
}

impl Visitor {
    /// Reads what a page shows of a session. Makes none where there is none.
    pub(crate) async fn of(session: &Session) -> Result<Self, SessionError> {
        let (Some(id), Some(record)) = (session.id().await?, session.record().await?) else {
            return Ok(Self::default());
        };
        // A session made in this very request has one soon enough.
        let csrf_token = session.csrf_token().await.ok();
        Ok(Self {
            live: Some((id, record)),
            csrf_token,
        })
    }

    pub(crate) fn live(&self) -> Option<(SessionId, &Record)> {
        self.live.as_ref().map(|(id, record)| (*id, record))
    }

    pub(crate) fn subject(&self) -> Option<&str> {
        self.live.as_ref()?.1.subject()
    }

    /// For scripts in browsers that do not say where a request comes from.
    pub(crate) fn csrf_token(&self) -> Option<&str> {
        self.csrf_token.as_deref()
    }
}
