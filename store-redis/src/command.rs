//! What is sent: a script with its keys and arguments, or a plain command.

use std::sync::Arc;

use session_core::{Record, Shard};

use crate::keys::tag;
use crate::packet::{Joint, Packet, Words};
use crate::script::Script;
use crate::slot::slot_of;

/// One atomic step on one slot.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    script: Option<&'static Script>,
    /// Nothing, like the arguments, of a step that may go with others: it has them.
    keys: Words,
    arguments: Words,
    joint: Option<Arc<Joint>>,
    slot: u16,
    writes: bool,
    staged: Option<Box<Staged>>,
}

/// A record that is put under a key of its own before the command, which moves it to its place. So it does not
/// pass through a script, where every byte costs time.
#[derive(Clone, Debug)]
struct Staged {
    key: String,
    record: Record,
}

/// How many bytes most arguments take together that no other step has.
const OWN: usize = 640;
/// And those that others have, too.
const ALIKE: usize = 96;
/// How long a staged record is kept, in milliseconds, should the command be lost that is sent with it.
const STAGED_FOR: &[u8] = b"10000";
/// What a script is given instead of a staged record. No record is that.
const STAGED: &[u8] = b"\0";

impl Command {
    /// A step that a script takes, on keys that have `tag`.
    pub(crate) fn script(script: &'static Script, tag: &str, keys: &[&str]) -> Self {
        Self {
            arguments: Words::with_room(ALIKE),
            ..Self::of(Some(script), slot_of(tag), keys)
        }
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
            joint: None,
            slot,
            writes: true,
            staged: None,
        }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<[u8]>) -> Self {
        self.own_arguments().push(arg.as_ref());
        self
    }

    fn own_arguments(&mut self) -> &mut Words {
        match &mut self.joint {
            Some(joint) => &mut Arc::make_mut(joint).own,
            None => &mut self.arguments,
        }
    }

    pub(crate) fn number(self, number: impl Into<u64>) -> Self {
        let number: u64 = number.into();
        self.arg(number.to_string())
    }

    /// Says that the script takes many such steps at once, whose arguments so far are the same for all: each
    /// has one key, and maybe another for a staged record.
    pub(crate) fn alike(mut self) -> Self {
        if let Some(script) = self.script {
            self.joint = Some(Arc::new(Joint {
                script,
                key: std::mem::take(&mut self.keys),
                staged: Words::default(),
                alike: std::mem::take(&mut self.arguments),
                own: Words::with_room(OWN),
            }));
        }
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
        self.staged_keys().push(key.as_bytes());
        let record = record.clone();
        self.staged = Some(Box::new(Staged { key, record }));
        self.arg(STAGED)
    }

    /// Where the key of a staged record goes.
    fn staged_keys(&mut self) -> &mut Words {
        match &mut self.joint {
            Some(joint) => &mut Arc::make_mut(joint).staged,
            None => &mut self.keys,
        }
    }

    /// Has it need no other key: the staged record, if there is one, becomes its last argument.
    pub(crate) fn make_whole(&mut self) {
        if let Some(Staged { key, record }) = self.staged.take().map(|staged| *staged) {
            self.staged_keys().pop(key.as_bytes());
            let arguments = self.own_arguments();
            arguments.pop(STAGED);
            arguments.push(record.as_bytes());
        }
    }

    /// What is sent, in this form.
    pub(crate) fn packet(&self, form: Form) -> Packet {
        let mut packet = Packet::default();
        if form.asking {
            packet.lead(&[b"ASKING"]);
        }
        if let Some(Staged { key, record }) = self.staged.as_deref() {
            packet.lead(&[b"SET", key.as_bytes(), record.as_bytes(), b"PX", STAGED_FOR]);
        }
        let Some(script) = self.script else {
            packet.follow(&[b"GET"], &[&self.keys]);
            return packet;
        };
        if form == Form::default() && self.joint.is_some() {
            packet.joint.clone_from(&self.joint);
            return packet;
        }
        let (verb, name): (&[u8], _) = match form.with_text {
            true => (b"EVAL", script.text()),
            false => (b"EVALSHA", script.hash()),
        };
        let none = Words::default();
        let (keys, arguments) = match &self.joint {
            Some(joint) => ([&joint.key, &joint.staged], [&joint.alike, &joint.own]),
            None => ([&self.keys, &none], [&self.arguments, &none]),
        };
        let count = keys.map(Words::count).iter().sum::<usize>().to_string();
        let words = [keys, arguments];
        packet.follow(
            &[verb, name.as_bytes(), count.as_bytes()],
            words.as_flattened(),
        );
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
        let mut staged = command.clone().arg("x").staged("w".into(), &record);
        let packet = staged.packet(Form::default());
        assert_eq!(packet.leading, 1);
        let joint = packet.joint.unwrap();
        let counts = [&joint.key, &joint.staged, &joint.own].map(Words::count);
        assert_eq!(counts, [1, 1, 2]);
        staged.make_whole();
        let packet = staged.packet(Form::default());
        assert_eq!((packet.leading, packet.bytes.len()), (0, 0));
        let whole = packet.joint.unwrap();
        assert_eq!(whole.staged, Words::default());
        let expected = command
            .arg("x")
            .arg(record.as_bytes())
            .packet(Form::default());
        assert_eq!(whole.own, expected.joint.unwrap().own);
    }
}
