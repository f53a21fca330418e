//! Changes of state, as streams tell them: ids, states, codes and times, and nothing of what was said in them. Pure: how they are kept as
//! bytes stands here, where they are kept does not.

use crate::action::ActionState;
use crate::graph::EntryKind;
use crate::id::{ActionId, RunId};
use crate::ledger::Disposition;
use crate::run::RunState;
use crate::time::Timestamp;

/// Longest reason that is told: reasons are codes, and whatever is longer is none.
const REASON_MAX: usize = 64;
/// Stands for none.
const NONE: u8 = 255;

/// One change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The run that changed, or whose action or step did.
    pub run: RunId,
    /// By the store's clock.
    pub at: Timestamp,
    /// What changed.
    pub what: What,
}

/// What changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// The run stands like this.
    Run(RunState),
    /// Someone cancels the run.
    Cancelling,
    /// An action moved.
    Action(Moved),
    /// An attempt at a step of the run's graph ended.
    Node {
        /// Its place in the spec.
        node: u32,
        /// How.
        kind: EntryKind,
    },
}

/// An action moved from one state to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moved {
    /// The action.
    pub action: ActionId,
    /// Where it stood; none when it was just stored.
    pub from: Option<ActionState>,
    /// Where it stands.
    pub to: ActionState,
    /// How it ended, where this is its end.
    pub disposition: Option<Disposition>,
    /// What a person said of an `unknown`: whether it happened.
    pub resolved: Option<bool>,
    /// Why, as a code.
    pub reason: Option<String>,
}

impl Moved {
    /// A move and no more.
    pub const fn new(action: ActionId, from: Option<ActionState>, to: ActionState) -> Self {
        Self { action, from, to, disposition: None, resolved: None, reason: None }
    }

    /// Says why. What is no code is not told: it may quote what a tool or a person said.
    pub fn because(&mut self, reason: Option<&str>) {
        self.reason = reason.filter(|r| is_code(r)).map(str::to_owned);
    }
}

/// Whether a reason is a code, and may leave.
pub fn is_code(reason: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    !reason.is_empty() && reason.len() <= REASON_MAX && reason.bytes().all(plain)
}

impl What {
    /// The dotted word of a stream: `run.succeeded`, `action.calling`, `step.failed`.
    pub fn word(&self) -> (&'static str, &'static str) {
        match self {
            Self::Run(state) => ("run", state.as_str()),
            Self::Cancelling => ("run", "cancelling"),
            Self::Action(m) => ("action", m.to.as_str()),
            Self::Node { kind, .. } => ("step", kind.as_str()),
        }
    }
}

impl Change {
    /// Appends the stored form.
    pub fn write(&self, out: &mut Vec<u8>) {
        let tag = match &self.what {
            What::Run(_) => 1,
            What::Cancelling => 2,
            What::Action(_) => 3,
            What::Node { .. } => 4,
        };
        out.push(tag);
        out.extend_from_slice(self.run.as_bytes());
        out.extend_from_slice(&self.at.as_micros().to_be_bytes());
        match &self.what {
            What::Run(state) => out.push(small(state.as_int())),
            What::Cancelling => {}
            What::Action(m) => {
                out.extend_from_slice(m.action.as_bytes());
                out.push(m.from.map_or(NONE, |s| small(s.as_int())));
                out.push(small(m.to.as_int()));
                out.push(place(m.disposition));
                out.push(m.resolved.map_or(NONE, u8::from));
                let reason = m.reason.as_deref().unwrap_or_default().as_bytes();
                let reason = reason.get(..REASON_MAX).unwrap_or(reason);
                out.push(small(reason.len() as i64));
                out.extend_from_slice(reason);
            }
            What::Node { node, kind } => {
                out.extend_from_slice(&node.to_be_bytes());
                out.push(small(kind.as_int()));
            }
        }
    }

    /// Reads everything that was written; none when it makes no sense.
    pub fn read_all(mut bytes: &[u8]) -> Option<Vec<Self>> {
        let mut out = Vec::new();
        while !bytes.is_empty() {
            out.push(Self::read(&mut bytes)?);
        }
        Some(out)
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let [tag] = take::<1>(bytes)?;
        let run = RunId::from_bytes(take(bytes)?);
        let at = Timestamp::from_micros(i64::from_be_bytes(take(bytes)?));
        let what = match tag {
            1 => What::Run(RunState::from_int(i64::from(byte(bytes)?))?),
            2 => What::Cancelling,
            3 => What::Action(read_moved(bytes)?),
            4 => {
                let node = u32::from_be_bytes(take(bytes)?);
                What::Node { node, kind: EntryKind::from_int(i64::from(byte(bytes)?))? }
            }
            _ => return None,
        };
        Some(Self { run, at, what })
    }
}

fn read_moved(bytes: &mut &[u8]) -> Option<Moved> {
    let action = ActionId::from_bytes(take(bytes)?);
    let from = match byte(bytes)? {
        NONE => None,
        n => Some(ActionState::from_int(i64::from(n))?),
    };
    let to = ActionState::from_int(i64::from(byte(bytes)?))?;
    let disposition = match byte(bytes)? {
        NONE => None,
        n => Some(*Disposition::ALL.get(usize::from(n))?),
    };
    let resolved = match byte(bytes)? {
        NONE => None,
        n => Some(n != 0),
    };
    let length = usize::from(byte(bytes)?);
    let (reason, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    let reason = if reason.is_empty() { None } else { Some(std::str::from_utf8(reason).ok()?.to_owned()) };
    Some(Moved { action, from, to, disposition, resolved, reason })
}

fn place(d: Option<Disposition>) -> u8 {
    d.and_then(|d| Disposition::ALL.iter().position(|x| *x == d)).map_or(NONE, |i| u8::try_from(i).unwrap_or(NONE))
}

/// States and lengths, all below 255.
fn small(n: i64) -> u8 {
    u8::try_from(n).unwrap_or(NONE)
}

fn byte(bytes: &mut &[u8]) -> Option<u8> {
    take::<1>(bytes).map(|[b]| b)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_what() -> impl Strategy<Value = What> {
        let moved = (
            any::<[u8; 16]>(),
            proptest::option::of(proptest::sample::select(ActionState::ALL)),
            proptest::sample::select(ActionState::ALL),
            proptest::option::of(proptest::sample::select(Disposition::ALL)),
            any::<Option<bool>>(),
            proptest::option::of("[a-z0-9_]{1,64}"),
        );
        prop_oneof![
            proptest::sample::select(RunState::ALL).prop_map(What::Run),
            Just(What::Cancelling),
            moved.prop_map(|(id, from, to, disposition, resolved, reason)| {
                What::Action(Moved { action: ActionId::from_bytes(id), from, to, disposition, resolved, reason })
            }),
            (any::<u32>(), proptest::sample::select(EntryKind::ALL)).prop_map(|(node, kind)| What::Node { node, kind }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(all in proptest::collection::vec((any::<[u8; 16]>(), any::<i64>(), any_what()), 0..6)) {
            let all: Vec<Change> = all
                .into_iter()
                .map(|(run, at, what)| Change { run: RunId::from_bytes(run), at: Timestamp::from_micros(at), what })
                .collect();
            let mut bytes = Vec::new();
            all.iter().for_each(|c| c.write(&mut bytes));
            prop_assert_eq!(Change::read_all(&bytes), Some(all.clone()));
            // Cut anywhere but between two changes, it is none.
            if let Some((_, short)) = bytes.split_last() {
                prop_assert_ne!(Change::read_all(short), Some(all));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Change::read_all(&bytes);
        }
    }

    #[test]
    fn only_codes_are_told() {
        let mut m = Moved::new(ActionId::from_bytes([1; 16]), None, ActionState::Proposed);
        for (reason, told) in
            [("policy_error", true), ("http_500", true), ("", false), ("Bad request: \"card 4111\"", false), ("a b", false)]
        {
            m.because(Some(reason));
            assert_eq!(m.reason.is_some(), told, "{reason}");
        }
        m.because(Some(&"x".repeat(REASON_MAX + 1)));
        assert_eq!(m.reason, None);
    }
}
