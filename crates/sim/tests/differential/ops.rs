//! The commands, as small numbers that pick from what is there: a shorter history means the same.

use proptest::prelude::*;

/// An action of a plan.
#[derive(Clone, Debug)]
pub struct Act {
    pub lane: u8,
    pub key: Option<u8>,
    pub fingerprint: u8,
    pub independent: bool,
    pub goes_on: bool,
    pub terms: u8,
}

/// One command.
#[derive(Clone, Debug)]
pub enum Op {
    Ingest { scope: u8, events: u8, key: Option<u8>, body: u8, operators: u8, strict: bool, terms: u8, claim: Option<u8>, stale: bool },
    Submit { scope: u8, act: Act, key: Option<u8>, body: u8, claim: Option<u8> },
    Session { which: u8, kind: u8, labels: u8, long: bool },
    Claim { which: u8, labels: u8 },
    Plan { pick: u8, acts: Vec<Act>, outcome: u8, strict: bool, claim: Option<u8> },
    Begin { pick: u8, stale: bool, other: bool, approved: bool },
    Dispose { pick: u8, how: u8, result: u8, hold: bool, claim: Option<u8>, undo: u8 },
    Defer { pick: u8, doubt: bool, seconds: u8 },
    Look { pick: u8 },
    Ask { pick: u8, queues: u8, seconds: u16 },
    Approve { pick: u8, queue: u8, wrong: bool },
    End { pick: u8, expired: bool },
    Resolve { pick: u8, applied: bool, undo: u8 },
    Cancel { pick: u8 },
    GiveUp { pick: u8, right: bool },
    Block { pick: u8 },
    Wake,
    Lift { pick: u8 },
    Append { scope: u8 },
    Deploy { scope: u8, most: u8 },
    Status { scope: u8, name: u8, paused: bool },
    Secret { scope: u8, name: u8, remove: bool },
    Key { scope: u8 },
    Revoke { pick: u8 },
    Start { scope: u8, shape: u8, terms: u8, claim: Option<u8> },
    Node { pick: u8, end: u8, act: Act, claim: Option<u8> },
    Stop { pick: u8 },
    Resume { pick: u8 },
    Tick { seconds: u16 },
    Fire,
    Reap,
    Forget,
    Replay { scope: u8 },
    Slice { pick: u8, runs: u8, stale: bool },
}

fn any_act() -> impl Strategy<Value = Act> {
    (0..3u8, proptest::option::weighted(0.7, 0..3u8), 0..8u8, any::<bool>(), any::<bool>(), any_terms()).prop_map(
        |(lane, key, fingerprint, independent, goes_on, terms)| Act {
            lane,
            key,
            fingerprint: fingerprint / 7,
            independent,
            goes_on,
            terms,
        },
    )
}

/// On what terms a step waits; most on none.
fn any_terms() -> impl Strategy<Value = u8> {
    prop_oneof![3 => Just(0u8), 1 => 1..6u8]
}

/// Any command; those that move work along come more often.
pub fn any_op() -> impl Strategy<Value = Op> {
    let session = || proptest::option::weighted(0.7, 0..3u8);
    let rarely = || proptest::bool::weighted(0.1);
    let often = prop_oneof![
        2 => (0..3u8, 1..3u8, proptest::option::of(0..3u8), 0..4u8, 0..3u8, any::<bool>(), any_terms(), session(), rarely()).prop_map(
            |(scope, events, key, body, operators, strict, terms, claim, stale)| Op::Ingest {
                scope, events, key, body: body / 3, operators, strict, terms, claim, stale
            }
        ),
        5 => (0..3u8, any_act(), proptest::option::weighted(0.1, 0..3u8), 0..4u8, session())
            .prop_map(|(scope, act, key, body, claim)| Op::Submit { scope, act, key, body: body / 3, claim }),
        4 => (0..3u8, 0..6u8).prop_map(|(which, labels)| Op::Claim { which, labels }),
        3 => (any::<u8>(), proptest::collection::vec(any_act(), 0..4), 0..8u8, any::<bool>(), session())
            .prop_map(|(pick, acts, outcome, strict, claim)| Op::Plan { pick, acts, outcome, strict, claim }),
        12 => (any::<u8>(), rarely(), rarely(), any::<bool>()).prop_map(|(pick, stale, other, approved)| Op::Begin { pick, stale, other, approved }),
        8 => (any::<u8>(), 0..10u8, 0..4u8, any::<bool>(), session(), 0..3u8)
            .prop_map(|(pick, how, result, hold, claim, undo)| Op::Dispose { pick, how, result, hold, claim, undo }),
        2 => (any::<u8>(), any::<bool>(), 0..90u8).prop_map(|(pick, doubt, seconds)| Op::Defer { pick, doubt, seconds }),
        1 => any::<u8>().prop_map(|pick| Op::Look { pick }),
        2 => (0..3u8, 0..3u8, any_terms(), session()).prop_map(|(scope, shape, terms, claim)| Op::Start { scope, shape, terms, claim }),
        5 => (any::<u8>(), 0..8u8, any_act(), session()).prop_map(|(pick, end, act, claim)| Op::Node { pick, end, act, claim }),
    ];
    let people = prop_oneof![
        6 => (any::<u8>(), 1..3u8, 1..200u16).prop_map(|(pick, queues, seconds)| Op::Ask { pick, queues, seconds }),
        6 => (any::<u8>(), 0..3u8, rarely()).prop_map(|(pick, queue, wrong)| Op::Approve { pick, queue, wrong }),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(pick, expired)| Op::End { pick, expired }),
        2 => (any::<u8>(), any::<bool>(), 0..3u8).prop_map(|(pick, applied, undo)| Op::Resolve { pick, applied, undo }),
        2 => any::<u8>().prop_map(|pick| Op::Cancel { pick }),
        2 => (any::<u8>(), proptest::bool::weighted(0.8)).prop_map(|(pick, right)| Op::GiveUp { pick, right }),
        1 => any::<u8>().prop_map(|pick| Op::Block { pick }),
        1 => Just(Op::Wake),
        1 => any::<u8>().prop_map(|pick| Op::Lift { pick }),
        1 => any::<u8>().prop_map(|pick| Op::Stop { pick }),
        2 => any::<u8>().prop_map(|pick| Op::Resume { pick }),
    ];
    let time = prop_oneof![
        2 => (0..3u8, 0..4u8, 0..6u8, any::<bool>()).prop_map(|(which, kind, labels, long)| Op::Session { which, kind, labels, long }),
        3 => (0..30u16).prop_map(|seconds| Op::Tick { seconds }),
        1 => (60..400u16).prop_map(|seconds| Op::Tick { seconds }),
        2 => Just(Op::Fire),
        2 => Just(Op::Reap),
        1 => Just(Op::Forget),
    ];
    let config = prop_oneof![
        (0..3u8).prop_map(|scope| Op::Append { scope }),
        (0..3u8, 0..4u8).prop_map(|(scope, most)| Op::Deploy { scope, most }),
        (0..3u8, 0..2u8, any::<bool>()).prop_map(|(scope, name, paused)| Op::Status { scope, name, paused }),
        (0..3u8, 0..2u8, any::<bool>()).prop_map(|(scope, name, remove)| Op::Secret { scope, name, remove }),
        (0..3u8).prop_map(|scope| Op::Key { scope }),
        any::<u8>().prop_map(|pick| Op::Revoke { pick }),
        (0..3u8).prop_map(|scope| Op::Replay { scope }),
        (any::<u8>(), 0..3u8, rarely()).prop_map(|(pick, runs, stale)| Op::Slice { pick, runs, stale }),
    ];
    prop_oneof![10 => often, 4 => people, 2 => time, 1 => config]
}
