//! What happens to sessions, for whoever reads the log. Ids are public; secrets are in no event.

use session_core::{Event, Observer};

use crate::{guards, metrics};

/// Writes a line for each event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log;

impl Observer for Log {
    fn observe(&self, event: &Event) {
        tracing::info!(
            event = metrics::name(event.kind),
            session = event.session.map(|id| id.to_string()),
            subject = event.subject.as_ref().map(session_core::Subject::as_str),
            peer = guards::peer().map(|peer| peer.to_string()),
        );
    }
}
