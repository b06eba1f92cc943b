//! The store.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use redis::Value;
use session_core::{
    Abilities, Admission, Application, Change, Creation, Deadline, ErrorKind, Fence, Freshness,
    LimitPolicy, Loaded, NewRecord, Record, Revision, SessionId, SessionStore, Shard, SignInLimit,
    StoreError, StoreFacts, Subject, Ticket, Timestamp,
};

use crate::answer::{Answer, loaded};
use crate::apply::{Packed, apply};
use crate::client::Client;
use crate::clock::{StoreClock, ahead_of};
use crate::command::Command;
use crate::failure::{config, unexpected};
use crate::feed::Telling;
use crate::keys::{Keys, tag};
use crate::options::RedisStoreBuilder;
use crate::scan::Walk;
use crate::script::{CREATE, DELETE, REVOKE, SESSIONS_OF, SIGN_IN, Script, TICKET};
use crate::turns::Turns;

/// The store's name in errors, logs and metrics.
pub(crate) const NAME: &str = "redis";

/// Sessions on Redis or Valkey. Clones share their connections.
///
/// See the [crate's documentation](crate) for what it keeps where, and for what a server can lose.
#[derive(Clone)]
pub struct RedisStore(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) facts: StoreFacts,
    pub(crate) client: Arc<Client>,
    pub(crate) keys: Keys,
    pub(crate) channel: String,
    pub(crate) clock: StoreClock,
    pub(crate) turns: Turns,
    /// Numbers what is staged, from a random number on.
    pub(crate) staged: AtomicU64,
    pub(crate) telling: Option<Telling>,
    pub(crate) walk: Walk,
}

impl RedisStore {
    /// The sessions on the server at `url`, with everything else as by default.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), session_core::StoreError> {
    /// use store_redis::RedisStore;
    ///
    /// let store = RedisStore::connect("redis://127.0.0.1/").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`RedisStoreBuilder::connect`].
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder(url).connect().await
    }

    /// A store to set up. [`RedisStoreBuilder`] says what a URL may look like.
    pub fn builder(url: &str) -> RedisStoreBuilder {
        RedisStoreBuilder::new(url)
    }
}

impl Shared {
    /// A step on one session.
    pub(crate) fn session_script(&self, script: &'static Script, id: SessionId) -> Command {
        self.script(script, id.shard(), &[&self.keys.session(id)])
    }

    pub(crate) fn script(&self, script: &'static Script, shard: Shard, keys: &[&str]) -> Command {
        Command::script(script, &tag(shard), keys)
            .arg(
                self.clock
                    .test()
                    .map_or(String::new(), |now| now.as_millis().to_string()),
            )
            .arg(&self.channel)
            .arg(self.client.servers.kind())
    }

    /// Takes a step.
    pub(crate) async fn ask(
        &self,
        mut command: Command,
        by: Deadline,
    ) -> Result<Answer, StoreError> {
        let value = self.client.run(&mut command, by).await?;
        self.read(value, command.writes())
    }

    /// Reads what a step answered that writes, or does not.
    pub(crate) fn read(&self, value: Value, writes: bool) -> Result<Answer, StoreError> {
        let answer = Answer::read(value, writes)?;
        self.clock.heard(answer.now);
        Ok(answer)
    }

    /// Where the next record of a session may stand for a moment, and nothing else does.
    pub(crate) fn staging_place(&self, id: SessionId) -> String {
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        self.keys.staged(id.shard(), number)
    }

    fn shard_of(&self, subject: &Subject) -> Shard {
        self.facts.sharding.shard_of(subject)
    }

    fn too_large(&self, record: &NewRecord) -> StoreError {
        match record.check(&self.facts.bounds) {
            Err(reason) => StoreError::too_large(NAME, reason),
            Ok(()) => unexpected(true),
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("facts", &self.0.facts)
            .field("client", &self.0.client)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SessionStore for RedisStore {
    fn facts(&self) -> &StoreFacts {
        &self.0.facts
    }

    fn abilities(&self) -> Abilities<'_> {
        let mut abilities = Abilities::default();
        if self.0.telling.is_some() {
            abilities.watch = Some(self);
        }
        abilities.scan = Some(self);
        abilities
    }

    async fn create(&self, id: SessionId, record: &NewRecord) -> Result<Creation, StoreError> {
        let store = &*self.0;
        let by = store.client.deadline();
        let assumed = store.clock.assumed();
        let (new, stamps) = record.anonymous(assumed);
        let packed = Packed::of(&new, stamps).unless_too_large(record, store);
        let command = store
            .session_script(&CREATE, id)
            .number(assumed.as_millis())
            .arg(packed.header)
            .arg(packed.entries)
            .arg(packed.stamps());
        if store.client.is_crowded(command.slot(), by).await? {
            return Err(StoreError::new(NAME, ErrorKind::Full)
                .because("four fifths of the server's memory are used"));
        }
        let mut answer = store.ask(command, by).await?;
        match &*answer.bytes()? {
            b"created" => {
                let record = new.shifted(stamps, ahead_of(answer.now, assumed));
                Ok(Creation::Created(record))
            }
            b"exists" => Ok(Creation::Exists),
            b"too large" => Err(store.too_large(record)),
            _ => Err(unexpected(true)),
        }
    }

    async fn load(&self, id: SessionId, _: Freshness) -> Result<Loaded, StoreError> {
        let store = &*self.0;
        let mut command = Command::get(&store.keys.session(id), id.shard());
        let now = store.clock.test();
        let value = store
            .client
            .run(&mut command, store.client.deadline())
            .await?;
        loaded(value, now)
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        apply(&self.0, id, change, seen).await
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        let store = &*self.0;
        let command = store
            .session_script(&DELETE, id)
            .arg(store.keys.index_stem(id.shard()));
        let mut answer = store.ask(command, store.client.deadline()).await?;
        Ok(answer.number()? == 1)
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        let store = &*self.0;
        let shard = store.shard_of(subject);
        let command = store
            .script(&TICKET, shard, &[&store.keys.fence(shard, subject)])
            .read_only();
        let mut answer = store.ask(command, store.client.deadline()).await?;
        let fence = Fence::from_bytes(answer.bytes()?);
        Ok(Ticket::new(subject.clone(), fence, answer.now))
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        let store = &*self.0;
        let (subject, shard) = (ticket.subject(), id.shard());
        if store.shard_of(subject) != shard {
            return Err(config().because("the id is not in its subject's shard"));
        }
        let assumed = store.clock.assumed();
        let (new, stamps) = record.signed_in(ticket, assumed);
        let packed = Packed::of(&new, stamps).unless_too_large(record, store);
        let policy = match limit.map(|limit| limit.policy) {
            Some(LimitPolicy::Refuse) => "refuse",
            Some(LimitPolicy::EndOldest) | None => "oldest",
        };
        let keys = [
            store.keys.session(id),
            store.keys.index(shard, subject),
            store.keys.fence(shard, subject),
            store.keys.latest_try(shard, ticket.nonce()),
        ];
        let command = store
            .script(&SIGN_IN, shard, &keys.each_ref().map(String::as_str))
            .number(assumed.as_millis())
            .arg(packed.header)
            .arg(packed.entries)
            .arg(packed.stamps())
            .number(ticket.issued_at().as_millis())
            .number(millis(store.facts.ticket_life))
            .arg(ticket.fence().as_bytes())
            .arg(ticket.nonce().to_be_bytes())
            .number(ticket.attempt())
            .arg(
                record
                    .predecessor()
                    .map_or(String::new(), |id| id.to_string()),
            )
            .arg(limit.map_or(String::new(), |limit| limit.max.to_string()))
            .arg(policy)
            .arg(store.keys.session_stem(shard));
        let mut answer = store.ask(command, store.client.deadline()).await?;
        match &*answer.bytes()? {
            b"admitted" => Ok(Admission::Admitted {
                record: new.shifted(stamps, ahead_of(answer.now, assumed)),
                ended: answer.ids()?,
            }),
            b"revoked" => Ok(Admission::Revoked),
            b"exists" => Ok(Admission::Exists),
            b"limit" => Ok(Admission::LimitReached),
            b"too large" => Err(store.too_large(record)),
            _ => Err(unexpected(true)),
        }
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let store = &*self.0;
        let shard = store.shard_of(subject);
        let command = store
            .script(&SESSIONS_OF, shard, &[&store.keys.index(shard, subject)])
            .arg(store.keys.session_stem(shard))
            .read_only();
        let answer = store.ask(command, store.client.deadline()).await?;
        answer.sessions()
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let store = &*self.0;
        let shard = store.shard_of(subject);
        let keys = [
            store.keys.index(shard, subject),
            store.keys.fence(shard, subject),
        ];
        // A fence need only differ from all that were raised before it.
        let fence = format!("{:016x}", Revision::random().to_u64());
        let command = store
            .script(&REVOKE, shard, &keys.each_ref().map(String::as_str))
            .arg(fence)
            .number(millis(store.facts.ticket_life))
            .arg(except.map_or(String::new(), |id| id.to_string()))
            .arg(store.keys.session_stem(shard));
        let answer = store.ask(command, store.client.deadline()).await?;
        answer.ids()
    }
}

impl Packed<'_> {
    /// Nothing, for a record that is over a bound: the script then tells whether it would be refused for
    /// another reason, and changes nothing.
    fn unless_too_large(self, record: &NewRecord, store: &Shared) -> Self {
        match record.check(&store.facts.bounds) {
            Ok(()) => self,
            Err(_) => Self::none(),
        }
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    (Timestamp::MIN + duration).as_millis()
}
