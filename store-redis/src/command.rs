//! What is sent: a script with its keys and arguments, or a plain command.

use std::borrow::Cow;

use redis::{Arg, Cmd, ToRedisArgs};
use session_core::{Record, Shard};

use crate::keys::tag;
use crate::script::Script;
use crate::slot::slot_of;

/// One atomic step on one slot.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    cmd: Cmd,
    script: Option<&'static Script>,
    slot: u16,
    writes: bool,
    staged: Option<Staged>,
}

/// A record that is put under a key of its own before the command, which moves it to its place. So it does not
/// pass through a script, where every byte costs time.
#[derive(Clone, Debug)]
struct Staged {
    key: String,
    record: Record,
}

/// How long a staged record is kept, in milliseconds, should the command be lost that is sent with it.
const STAGED_FOR: &[u8] = b"10000";

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
            staged: None,
        }
    }

    /// Reads what stands under a key of a shard.
    pub(crate) fn get(key: String, shard: Shard) -> Self {
        let mut cmd = Cmd::with_capacity(2, key.len() + 3);
        cmd.arg("GET").arg(key);
        Self {
            cmd,
            script: None,
            slot: slot_of(&tag(shard)),
            writes: false,
            staged: None,
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

    /// Has `record` staged under `key`, the last of the script's keys. The last of its arguments is empty.
    pub(crate) fn staged(mut self, key: String, record: &Record) -> Self {
        self.staged = Some(Staged {
            key,
            record: record.clone(),
        });
        self
    }

    /// The same without another key: with the staged record, if there is one, as its last argument.
    pub(crate) fn whole(&self) -> Cow<'_, Self> {
        let Some(staged) = &self.staged else {
            return Cow::Borrowed(self);
        };
        let mut words: Vec<_> = self.words().collect();
        words.pop();
        words.push(staged.record.as_bytes());
        let key = words.get(3).copied().unwrap_or_default();
        words.splice(2..5, [&b"1"[..], key]);
        Cow::Owned(Self {
            cmd: Cmd::new().arg(words).take(),
            staged: None,
            ..self.clone()
        })
    }

    /// What is sent, in this form.
    pub(crate) fn packet(&self, form: Form) -> Packet {
        let mut packet = Packet::default();
        if form.asking {
            packet.lead(&[b"ASKING"]);
        }
        if let Some(Staged { key, record }) = &self.staged {
            packet.bytes.reserve(record.as_bytes().len() + 512);
            packet.lead(&[b"SET", key.as_bytes(), record.as_bytes(), b"PX", STAGED_FOR]);
        }
        self.cmd(form.with_text)
            .write_packed_command(&mut packet.bytes);
        packet
    }

    /// The command for a server that has seen the script; with its text, for one that has not.
    fn cmd(&self, with_text: bool) -> Cow<'_, Cmd> {
        let Some(script) = self.script.filter(|_| with_text) else {
            return Cow::Borrowed(&self.cmd);
        };
        let mut cmd = redis::cmd("EVAL");
        cmd.arg(script.text());
        for word in self.words().skip(2) {
            cmd.arg(word);
        }
        Cow::Owned(cmd)
    }

    fn words(&self) -> impl Iterator<Item = &[u8]> {
        self.cmd.args_iter().map(|word| match word {
            Arg::Simple(word) => word,
            _ => &[],
        })
    }
}

/// How a command is sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Form {
    /// With the script's text, for a server that does not know it yet.
    pub(crate) with_text: bool,
    /// To a node that the slot is on its way to.
    pub(crate) asking: bool,
}

/// One operation as it is sent: a command, after others that lead up to it.
#[derive(Debug, Default)]
pub(crate) struct Packet {
    pub(crate) bytes: Vec<u8>,
    /// How many answers come before its own. It says itself what became of them.
    pub(crate) leading: usize,
}

impl Packet {
    fn lead(&mut self, words: &[&[u8]]) {
        self.leading += 1;
        self.lead_with(b'*', words.len());
        for word in words {
            self.lead_with(b'$', word.len());
            self.bytes.extend_from_slice(word);
            self.bytes.extend_from_slice(b"\r\n");
        }
    }

    fn lead_with(&mut self, mark: u8, length: usize) {
        self.bytes.push(mark);
        self.bytes.extend_from_slice(length.to_string().as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
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

    #[test]
    fn what_leads_up_to_a_command_is_packed_before_it() {
        let asking = Form {
            asking: true,
            ..Form::default()
        };
        let key = "session:{beef}:s:1".to_owned();
        let packet = Command::get(key, Shard::new(0xbeef)).packet(asking);
        let sent = "*1\r\n$6\r\nASKING\r\n*2\r\n$3\r\nGET\r\n$18\r\nsession:{beef}:s:1\r\n";
        assert_eq!(String::from_utf8(packet.bytes).unwrap(), sent);
        assert_eq!(packet.leading, 1);
    }
}
