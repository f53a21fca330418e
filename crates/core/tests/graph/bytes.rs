//! The stored form of a progress: small, fixed, and damage is noticed.

use tollgate_core::graph::{BytesError, GraphPlan, Outcome, Progress, cancel, finish, start};
use tollgate_core::hash::Digest;

use super::support::plan;

fn of(n: usize, outcomes: impl Fn(usize) -> Vec<Outcome>) -> (std::sync::Arc<GraphPlan>, Progress) {
    let names: Vec<String> = (0..n).map(|i| format!("s{i}")).collect();
    let plan = plan(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let (mut p, _) = start(&plan);
    for i in 0..n {
        for o in outcomes(i) {
            finish(&plan, &mut p, i, o).unwrap();
        }
    }
    (plan, p)
}

#[test]
fn it_is_small() {
    let once = |n| of(n, |_| vec![Outcome::Succeeded]).1.to_bytes().len();
    assert_eq!((once(10), once(1000)), (21, 517));
    let thrice = of(1000, |_| vec![Outcome::Deferred, Outcome::Deferred, Outcome::Succeeded]).1;
    assert_eq!(thrice.to_bytes().len(), 1517);
}

#[test]
fn it_survives_with_every_state_and_large_counts() {
    let (plan, mut p) = of(9, |i| match i {
        0 => vec![],
        1 => vec![Outcome::Deferred; 300],
        2 => vec![Outcome::Unknown],
        3 => vec![Outcome::Deferred, Outcome::Unknown, Outcome::Succeeded],
        4 => vec![Outcome::Failed],
        _ => vec![Outcome::Succeeded],
    });
    assert_eq!(Progress::from_bytes(&p.to_bytes()), Ok(p.clone()));
    cancel(&plan, &mut p).unwrap();
    assert_eq!(Progress::from_bytes(&p.to_bytes()), Ok(p));
}

/// Fixed for ever: stored runs hold it.
#[test]
fn the_form_is_fixed() {
    let p =
        of(5, |i| [vec![], vec![Outcome::Deferred; 2], vec![Outcome::Unknown], vec![Outcome::Failed], vec![Outcome::Succeeded]][i].clone())
            .1;
    insta::assert_snapshot!(p.to_bytes().iter().map(|b| format!("{b:02x}")).collect::<String>(), @"010000000000000000000005a15304028cbbe7cf");
}

#[test]
fn every_damaged_bit_and_every_cut_is_noticed() {
    let bytes = of(10, |i| vec![Outcome::Deferred; i]).1.to_bytes();
    for i in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[i / 8] ^= 1 << (i % 8);
        assert!(matches!(Progress::from_bytes(&bad), Err(BytesError::Damaged(_))), "bit {i}");
    }
    for n in 0..bytes.len() {
        assert!(matches!(Progress::from_bytes(&bytes[..n]), Err(BytesError::Damaged(_))), "cut to {n}");
    }
    let long = [&bytes[..], &[0]].concat();
    assert!(matches!(Progress::from_bytes(&long), Err(BytesError::Damaged(_))));
}

#[test]
fn bytes_that_no_version_writes_are_refused_even_when_their_sum_is_right() {
    let summed = |body: &[u8]| [body, &Digest::of(body).0[..4]].concat();
    let head = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let with = |rest: &[u8]| Progress::from_bytes(&summed(&[&head[..], rest].concat()));
    assert_eq!(with(&[1, 0x01]).map(|p| p.len()), Ok(1));
    assert_eq!(Progress::from_bytes(&summed(&[2])), Err(BytesError::Version(2)));
    let bad = [&[1, 0x01, 0][..], &[3, 0x01], &[1, 0x09], &[0xe9, 0x07], &[0xff, 0xff, 0xff, 0xff, 0x7f], &[0xff; 6]];
    let mut said: Vec<String> = bad.map(|b| with(b).unwrap_err().to_string()).into();
    said.push(Progress::from_bytes(&summed(&[1, 2])).unwrap_err().to_string());
    insta::assert_snapshot!(said.join("\n"), @r#"
    the stored progress of a run is damaged (something follows its end): rebuild it from the journal
    the stored progress of a run is damaged (it ends too early): rebuild it from the journal
    the stored progress of a run is damaged (it ends too early): rebuild it from the journal
    the stored progress of a run is damaged (it has too many steps): rebuild it from the journal
    the stored progress of a run is damaged (a number is too large): rebuild it from the journal
    the stored progress of a run is damaged (a number is too long): rebuild it from the journal
    the stored progress of a run is damaged (it has unknown flags): rebuild it from the journal
    "#);
}
