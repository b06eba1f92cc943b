//! What is sent: a script with its keys and arguments, or a plain command.

use session_core::{Record, Shard};

use crate::keys::tag;
use crate::packet::{Joint, Packet, Words};
use crate::script::Script;
use crate::slot::slot_of;

/// One atomic step on one slot.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    script: Option<&'static Script>,
    keys: Words,
    arguments: Words,
    /// What of the arguments all steps have alike that the script takes at once, if it does.
    alike: Option<Words>,
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

/// How many bytes most steps have of their own that others may go with.
const OWN: usize = 640;
/// How long a staged record is kept, in milliseconds, should the command be lost that is sent with it.
const STAGED_FOR: &[u8] = b"10000";
/// What a script is given instead of a staged record. No record is that.
const STAGED: &[u8] = b"\0";

impl Command {
    /// A step that a script takes, on keys that have `tag`.
    pub(crate) fn script(script: &'static Script, tag: &str, keys: &[&str]) -> Self {
        Self::of(Some(script), slot_of(tag), keys)
    }

    /// Reads what stands under a key of a shard.
    pub(crate) fn get(key: &str, shard: Shard) -> Self {
        Self::of(None, slot_of(&tag(shard)), &[key]).read_only()
    }

    fn of(script: Option<&'static Script>, slot: u16, keys: &[&str]) -> Self {
        let mut packed = Words::default();
        for key in keys {
            packed.push(key.as_bytes());
        }
        Self {
            script,
            keys: packed,
            arguments: Words::default(),
            alike: None,
            slot,
            writes: true,
            staged: None,
        }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<[u8]>) -> Self {
        self.arguments.push(arg.as_ref());
        self
    }

    pub(crate) fn number(self, number: impl Into<u64>) -> Self {
        let number: u64 = number.into();
        self.arg(number.to_string())
    }

    /// Says that the script takes many such steps at once, whose arguments so far are the same for all: each
    /// has one key, and maybe another for a staged record.
    pub(crate) fn alike(mut self) -> Self {
        let alike = std::mem::replace(&mut self.arguments, Words::with_room(OWN));
        self.alike = Some(alike);
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

    /// Has `record` staged under `key`, which becomes the last of the script's keys. The last of its arguments,
    /// which would be the record, says so.
    pub(crate) fn staged(mut self, key: String, record: &Record) -> Self {
        self.staged = Some(Staged {
            key,
            record: record.clone(),
        });
        self.arg(STAGED)
    }

    /// The same without another key: with the staged record, if there is one, as its last argument.
    pub(crate) fn whole(mut self) -> Self {
        if let Some(Staged { record, .. }) = self.staged.take() {
            self.arguments.pop(STAGED);
            self.arguments.push(record.as_bytes());
        }
        self
    }

    /// What is sent, in this form.
    pub(crate) fn packet(&self, form: Form) -> Packet {
        let mut packet = Packet::default();
        if form.asking {
            packet.lead(&[b"ASKING"]);
        }
        let mut staged = Words::default();
        if let Some(Staged { key, record }) = &self.staged {
            packet.lead(&[b"SET", key.as_bytes(), record.as_bytes(), b"PX", STAGED_FOR]);
            staged.push(key.as_bytes());
        }
        match (self.script, &self.alike) {
            (None, _) => packet.follow(&[b"GET"], &[&self.keys]),
            (Some(script), Some(alike)) if form == Form::default() => {
                packet.joint = Some(Joint {
                    script,
                    key: self.keys.clone(),
                    staged,
                    alike: alike.clone(),
                    own: self.arguments.clone(),
                });
            }
            (Some(script), alike) => {
                let (verb, name): (&[u8], _) = match form.with_text {
                    true => (b"EVAL", script.text()),
                    false => (b"EVALSHA", script.hash()),
                };
                let count = (self.keys.count() + staged.count()).to_string();
                let none = Words::default();
                let alike = alike.as_ref().unwrap_or(&none);
                let words = [&self.keys, &staged, alike, &self.arguments];
                packet.follow(&[verb, name.as_bytes(), count.as_bytes()], &words);
            }
        }
        packet
    }
}

/// How a command is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    /// With the script's text, for a server that does not know it yet.
    pub(crate) with_text: bool,
    /// To a node that the slot is on its way to.
    pub(crate) asking: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{APPLY, TICKET};

    fn sent(packet: &Packet) -> String {
        String::from_utf8_lossy(&packet.bytes).into_owned()
    }

    #[test]
    fn a_script_is_named_by_its_hash_and_sent_whole_when_it_is_not_known() {
        let command = Command::script(&TICKET, "beef", &["a{beef}", "b{beef}"]).arg("x");
        let rest = "$1\r\n2\r\n$7\r\na{beef}\r\n$7\r\nb{beef}\r\n$1\r\nx\r\n";
        let hash = TICKET.hash();
        let short = format!("*6\r\n$7\r\nEVALSHA\r\n$40\r\n{hash}\r\n{rest}");
        assert_eq!(sent(&command.packet(Form::default())), short);
        let with_text = Form {
            with_text: true,
            ..Form::default()
        };
        let (text, length) = (TICKET.text(), TICKET.text().len());
        let long = format!("*6\r\n$4\r\nEVAL\r\n${length}\r\n{text}\r\n{rest}");
        assert_eq!(sent(&command.packet(with_text)), long);
    }

    #[test]
    fn what_leads_up_to_a_command_is_packed_before_it() {
        let asking = Form {
            asking: true,
            ..Form::default()
        };
        let packet = Command::get("session:{beef}:s:1", Shard::new(0xbeef)).packet(asking);
        let expected = "*1\r\n$6\r\nASKING\r\n*2\r\n$3\r\nGET\r\n$18\r\nsession:{beef}:s:1\r\n";
        assert_eq!(sent(&packet), expected);
        assert_eq!(packet.leading, 1);
    }

    #[test]
    fn a_staged_record_is_sent_before_or_as_the_last_argument() {
        let record = Record::from_entries(&session_core::Header::default(), &[("a", "1")]).unwrap();
        let command = Command::script(&APPLY, "beef", &["k"])
            .arg("shared")
            .alike();
        let staged = command.clone().arg("x").staged("w".into(), &record);
        let packet = staged.packet(Form::default());
        assert_eq!(packet.leading, 1);
        let joint = packet.joint.unwrap();
        let counts = [&joint.key, &joint.staged, &joint.own].map(Words::count);
        assert_eq!(counts, [1, 1, 2]);
        let packet = staged.whole().packet(Form::default());
        assert_eq!((packet.leading, packet.bytes.len()), (0, 0));
        let own = packet.joint.unwrap().own;
        let expected = command
            .arg("x")
            .arg(record.as_bytes())
            .packet(Form::default());
        assert_eq!(own, expected.joint.unwrap().own);
    }
}
