//! What a session handle knows and has pending.

use super::presented::Opened;
use crate::change::Change;
use crate::id::SessionId;
use crate::record::{Record, Standing};
use crate::time::Timestamp;
use crate::token::{SecretHash, SessionToken};

/// A live session as this request holds it.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) id: SessionId,
    pub(super) record: Record,
    /// The secret that the client presented, or the newest that this request made for it.
    pub(super) secret: SecretHash,
    /// Where the presented secret stood when it was loaded; nothing if this request made it.
    pub(super) presented: Option<Standing>,
}

impl Live {
    /// The secret that was presented for the first time, and is not recorded as such yet.
    pub(super) fn unrecorded_presentation(&self) -> Option<SecretHash> {
        (self.presented == Some(Standing::Unpresented)).then_some(self.secret)
    }
}

/// Which session a request has.
#[derive(Clone, Debug)]
pub(super) enum Base {
    /// None; a write makes one. `unknown` if the client presented a token that no session accepts.
    Empty { unknown: bool },
    /// None, and only a sign-in may make one.
    Superseded,
    /// This one.
    Live(Live),
    /// One that ended during the request.
    Ended,
}

/// The cookie that the response owes to the client.
#[derive(Clone, Debug)]
pub(super) enum Cookie {
    None,
    Set {
        token: SessionToken,
        deadline: Timestamp,
        by_sign_in: bool,
    },
    Remove,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) base: Base,
    pub(super) pending: Change,
    pub(super) cookie: Cookie,
    /// Whether the session that this request has was made by it.
    pub(super) is_new: bool,
    pub(super) committed: bool,
    /// Whether somebody is signed in, or was at any time of the request.
    pub(super) saw_subject: bool,
    /// Whether the request has shown the session's CSRF token.
    pub(super) showed_csrf_token: bool,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            base: Base::Empty { unknown: false },
            pending: Change::new(),
            cookie: Cookie::None,
            is_new: false,
            committed: false,
            saw_subject: false,
            showed_csrf_token: false,
        }
    }

    pub(super) fn open(&mut self, opened: Opened) {
        self.base = match opened {
            Opened::Nothing => Base::Empty { unknown: false },
            Opened::Unknown => Base::Empty { unknown: true },
            Opened::Superseded => Base::Superseded,
            Opened::Live(live) => {
                self.saw_subject |= live.record.subject().is_some();
                Base::Live(live)
            }
        };
    }

    pub(super) const fn live(&self) -> Option<&Live> {
        match &self.base {
            Base::Live(live) => Some(live),
            _ => None,
        }
    }

    /// The JSON text of an entry as the handle shows it: pending edits over the record.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        if let Some(edit) = self.pending.edits().get(name) {
            return edit.as_ref().map(|value| value.as_str().to_owned());
        }
        if self.pending.clears() && !crate::name::is_reserved(name) {
            return None;
        }
        self.live()?.record.get(name).map(str::to_owned)
    }

    /// The names of the entries as the handle shows them, in order, without reserved ones.
    pub(super) fn names(&self) -> Vec<String> {
        let stored = self
            .live()
            .into_iter()
            .flat_map(|live| live.record.entries());
        let mut names: std::collections::BTreeSet<String> = if self.pending.clears() {
            std::collections::BTreeSet::new()
        } else {
            stored.map(|(name, _)| name.to_owned()).collect()
        };
        for (name, value) in self.pending.edits() {
            if value.is_some() {
                names.insert(name.as_str().to_owned());
            } else {
                names.remove(name.as_str());
            }
        }
        names.retain(|name| !crate::name::is_reserved(name));
        names.into_iter().collect()
    }

    pub(super) fn edit(&mut self, edit: impl FnOnce(Change) -> Change) {
        self.pending = edit(std::mem::take(&mut self.pending));
    }

    /// Adopts a session that this request made, or a new secret for the one it has.
    pub(super) fn adopt(&mut self, token: SessionToken, record: Record, by_sign_in: bool) {
        let secret = token.secret.hash();
        let deadline = record.deadline();
        self.saw_subject |= record.subject().is_some();
        // A renewal after a sign-in is the sign-in's cookie.
        let by_sign_in = by_sign_in
            || matches!(
                &self.cookie,
                Cookie::Set { token: before, by_sign_in: true, .. } if before.id == token.id
            );
        self.base = Base::Live(Live {
            id: token.id,
            record,
            secret,
            presented: None,
        });
        self.cookie = Cookie::Set {
            token,
            deadline,
            by_sign_in,
        };
    }

    /// Takes over a newer copy of the session that this request has.
    pub(super) fn refresh(&mut self, id: SessionId, record: Record) {
        if let Base::Live(live) = &mut self.base
            && live.id == id
        {
            if record
                .slots()
                .any(|slot| slot.hash == live.secret && slot.standing == Standing::Current)
                && live.presented.is_some()
            {
                live.presented = Some(Standing::Current);
            }
            live.record = record;
        }
    }

    pub(super) fn end(&mut self, remove_cookie: bool) {
        self.base = Base::Ended;
        self.pending = Change::new();
        self.cookie = if remove_cookie {
            Cookie::Remove
        } else {
            Cookie::None
        };
        self.is_new = false;
    }
}
