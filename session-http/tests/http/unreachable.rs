//! A store that nobody reaches: whoever asks it anything gets an error.

use async_trait::async_trait;
use session_core::{
    Abilities, Admission, Application, Change, Creation, ErrorKind, Freshness, Loaded, NewRecord,
    Record, SessionId, SessionStore, SignInLimit, StoreError, StoreFacts, Subject, Ticket,
};

#[derive(Debug)]
pub(crate) struct Unreachable(StoreFacts);

impl Unreachable {
    pub(crate) fn new() -> Self {
        Self(StoreFacts::new("unreachable"))
    }
}

const fn error() -> StoreError {
    StoreError::new("unreachable", ErrorKind::Unavailable)
}

#[async_trait]
impl SessionStore for Unreachable {
    fn facts(&self) -> &StoreFacts {
        &self.0
    }

    fn abilities(&self) -> Abilities<'_> {
        Abilities::default()
    }

    async fn create(&self, _: SessionId, _: &NewRecord) -> Result<Creation, StoreError> {
        Err(error())
    }

    async fn load(&self, _: SessionId, _: Freshness) -> Result<Loaded, StoreError> {
        Err(error())
    }

    async fn apply(
        &self,
        _: SessionId,
        _: &Change,
        _: Option<&Record>,
    ) -> Result<Application, StoreError> {
        Err(error())
    }

    async fn delete(&self, _: SessionId) -> Result<bool, StoreError> {
        Err(error())
    }

    async fn ticket(&self, _: &Subject) -> Result<Ticket, StoreError> {
        Err(error())
    }

    async fn sign_in(
        &self,
        _: &Ticket,
        _: SessionId,
        _: &NewRecord,
        _: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        Err(error())
    }

    async fn sessions_of(&self, _: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        Err(error())
    }

    async fn revoke(
        &self,
        _: &Subject,
        _: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        Err(error())
    }
}
