//! What is sent: a script with its keys and arguments, or a plain command.

use std::borrow::Cow;

use redis::{Arg, Cmd, ToRedisArgs};

use crate::script::Script;
use crate::slot::slot_of;

/// One atomic step on one slot.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    cmd: Cmd,
    script: Option<&'static Script>,
    slot: u16,
    writes: bool,
}

impl Command {
    /// A step that a script takes, on keys that have `tag`.
    pub(crate) fn script(script: &'static Script, tag: &str, keys: &[&str]) -> Self {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(script.hash()).arg(keys.len()).arg(keys);
        Self {
            cmd,
            script: Some(script),
            slot: slot_of(tag),
            writes: true,
        }
    }

    /// A plain command that writes nothing, on keys that have `tag`.
    pub(crate) fn plain(cmd: Cmd, tag: &str) -> Self {
        Self {
            cmd,
            script: None,
            slot: slot_of(tag),
            writes: false,
        }
    }

    pub(crate) fn arg(mut self, arg: impl ToRedisArgs) -> Self {
        self.cmd.arg(arg);
        self
    }

    /// Says that it writes nothing that could be missed.
    pub(crate) fn read_only(self) -> Self {
        Self {
            writes: false,
            ..self
        }
    }

    pub(crate) const fn writes(&self) -> bool {
        self.writes
    }

    pub(crate) const fn slot(&self) -> u16 {
        self.slot
    }

    /// The command for a server that has seen the script; with its text, for one that has not.
    pub(crate) fn cmd(&self, with_text: bool) -> Cow<'_, Cmd> {
        let Some(script) = self.script.filter(|_| with_text) else {
            return Cow::Borrowed(&self.cmd);
        };
        let mut cmd = redis::cmd("EVAL");
        cmd.arg(script.text());
        for arg in self.cmd.args_iter().skip(2) {
            if let Arg::Simple(arg) = arg {
                cmd.arg(arg);
            }
        }
        Cow::Owned(cmd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::TICKET;

    #[test]
    fn a_script_is_named_by_its_hash_and_sent_whole_when_it_is_not_known() {
        let command = Command::script(&TICKET, "beef", &["a{beef}", "b{beef}"]).arg("x");
        let words = |with_text: bool| -> Vec<String> {
            let cmd = command.cmd(with_text);
            cmd.args_iter()
                .map(|arg| match arg {
                    Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                    _ => panic!("{arg:?}"),
                })
                .collect()
        };
        let short = words(false);
        assert_eq!(short[0], "EVALSHA");
        assert_eq!(short[1], TICKET.hash());
        assert_eq!(short[2..], ["2", "a{beef}", "b{beef}", "x"]);
        let long = words(true);
        assert_eq!((&*long[0], &*long[1]), ("EVAL", TICKET.text()));
        assert_eq!(long[2..], short[2..]);
    }
}
