//! Statements over arrays: what several callers ask for at the same time goes to the server in one.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use session_core::{Applied, BatchFailure, Clock, Deadline, SessionId, StoreError, Transport};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, SqlStr};

use crate::connections::{Call, Connections};
use crate::row::{self, millis};
use crate::store::NAME;

/// One caller's part in a statement.
pub(crate) trait Part: Send + Sync + Sized + 'static {
    /// Whether the statement changes rows, each of which then stands in it once.
    const CHANGES: bool;

    fn id(&self) -> &SessionId;

    /// About how many bytes it adds to the statement.
    fn bytes(&self) -> usize;

    /// The statement over all parts, by the test clock if there is one.
    fn query(
        parts: &[Self],
        statement: SqlStr,
        now: Option<i64>,
    ) -> Query<'_, Postgres, PgArguments>;
}

/// A statement over arrays. Its rows end with the id of the session that they are about, and answer every
/// part that asked for it; a part without a row is answered with none.
pub(crate) struct Coalesced<P> {
    statement: SqlStr,
    connections: Connections,
    test_clock: Option<Arc<dyn Clock>>,
    parts: PhantomData<fn(P)>,
}

impl<P: Part> Coalesced<P> {
    pub(crate) fn new(
        statement: SqlStr,
        connections: Connections,
        test_clock: Option<Arc<dyn Clock>>,
    ) -> Self {
        Self {
            statement,
            connections,
            test_clock,
            parts: PhantomData,
        }
    }
}

impl<P: Part> Transport for Coalesced<P> {
    type Operation = P;
    type Answer = Option<Arc<PgRow>>;
    type Line = Call;

    fn store(&self) -> &'static str {
        NAME
    }

    fn in_doubt(&self) -> Applied {
        if P::CHANGES {
            Applied::Unknown
        } else {
            Applied::No
        }
    }

    fn bytes(&self, part: &P) -> usize {
        part.bytes()
    }

    fn session(&self, part: &P) -> Option<SessionId> {
        P::CHANGES.then(|| *part.id())
    }

    async fn line(&self, deadline: Deadline) -> Result<Call, StoreError> {
        self.connections.call(deadline).await
    }

    async fn send(
        &self,
        mut call: Call,
        parts: &[P],
    ) -> Result<Vec<Result<Self::Answer, StoreError>>, BatchFailure> {
        let now = self.test_clock.as_ref().map(|clock| millis(clock.now()));
        let query = P::query(parts, self.statement.clone(), now);
        let rows = call.rows(query, self.in_doubt()).await;
        let rows = rows.map_err(|failure| match failure.is_refusal {
            true => BatchFailure::OneOfThem(failure.error),
            false => BatchFailure::All(failure.error),
        })?;
        let by_id: Result<HashMap<_, _>, _> = rows
            .into_iter()
            .map(|row| Ok((row::whose(&row)?, Arc::new(row))))
            .collect();
        let by_id = by_id.map_err(|error: StoreError| BatchFailure::All(error.unknown()))?;
        let answers = parts.iter().map(|part| Ok(by_id.get(part.id()).cloned()));
        Ok(answers.collect())
    }
}
