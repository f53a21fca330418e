//! The stored form of a progress: half a byte a step. Its layout is fixed for ever; another one gets another version.
//!
//! ```text
//! version  1 byte
//! flags    1 byte: 1 = cancelling
//! entries  varint
//! chain    8 bytes, big-endian
//! steps    varint
//! states   half a byte a step, the lower half first: three bits of state, and 8 when its attempts are written out
//! attempts one varint for each step so marked
//! sum      4 bytes: the first of the SHA-256 of all before
//! ```

use super::progress::{Progress, StepProgress};
use super::spec::STEPS_MAX;
use super::state::StepState;
use crate::hash::Digest;

const VERSION: u8 = 1;
const CANCELLING: u8 = 1;
const WRITTEN_OUT: u8 = 8;
const SUM_LEN: usize = 4;

/// Why stored bytes are not a progress.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BytesError {
    /// Not as they were written: rebuild the progress from the journal.
    #[error("the stored progress of a run is damaged ({0}): rebuild it from the journal")]
    Damaged(&'static str),
    /// Written by a later version: run that one.
    #[error("the stored progress of a run has version {0}, and this program reads version {VERSION}: use a later program")]
    Version(u8),
}

impl Progress {
    /// The stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(20 + self.steps.len());
        out.push(VERSION);
        out.push(if self.cancelling { CANCELLING } else { 0 });
        put_varint(&mut out, self.entries);
        out.extend_from_slice(&self.chain.to_be_bytes());
        put_varint(&mut out, u32::try_from(self.steps.len()).unwrap_or(u32::MAX));
        for pair in self.steps.chunks(2) {
            let halves = pair.iter().map(half);
            out.push(halves.enumerate().fold(0, |byte, (i, half)| byte | half << (4 * i)));
        }
        for s in self.steps.iter().filter(|s| s.attempts != usual_attempts(s.state)) {
            put_varint(&mut out, s.attempts);
        }
        out.extend_from_slice(&sum(&out));
        out
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// When the bytes are damaged, or of a later version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BytesError> {
        let (body, kept) = bytes.split_last_chunk::<SUM_LEN>().ok_or(BytesError::Damaged("it is too short"))?;
        if sum(body) != *kept {
            return Err(BytesError::Damaged("its check sum is another"));
        }
        let mut reader = Reader(body);
        match reader.byte()? {
            VERSION => reader.progress(),
            later => Err(BytesError::Version(later)),
        }
    }
}

/// Attempts that most steps in a state have: they are not written out.
const fn usual_attempts(state: StepState) -> u32 {
    match state {
        StepState::Waiting | StepState::Ready | StepState::Skipped | StepState::Cancelled => 0,
        StepState::Backoff | StepState::Unknown | StepState::Succeeded | StepState::Failed => 1,
    }
}

fn half(step: &StepProgress) -> u8 {
    step.state.as_bits() | if step.attempts == usual_attempts(step.state) { 0 } else { WRITTEN_OUT }
}

fn sum(bytes: &[u8]) -> [u8; SUM_LEN] {
    let [a, b, c, d, ..] = Digest::of(bytes).0;
    [a, b, c, d]
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn put_varint(out: &mut Vec<u8>, mut n: u32) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn progress(mut self) -> Result<Progress, BytesError> {
        let cancelling = match self.byte()? {
            0 => false,
            CANCELLING => true,
            _ => return Err(BytesError::Damaged("it has unknown flags")),
        };
        let entries = self.varint()?;
        let mut chain = 0;
        for _ in 0..8 {
            chain = chain << 8 | u64::from(self.byte()?);
        }
        let steps = self.varint()? as usize;
        if steps > STEPS_MAX {
            return Err(BytesError::Damaged("it has too many steps"));
        }
        let mut halves = Vec::with_capacity(steps + 1);
        while halves.len() < steps {
            let byte = self.byte()?;
            halves.extend([byte & 0xf, byte >> 4]);
        }
        let steps = halves.into_iter().take(steps).map(|h| self.step(h)).collect::<Result<_, _>>()?;
        if !self.0.is_empty() {
            return Err(BytesError::Damaged("something follows its end"));
        }
        Ok(Progress { steps, cancelling, entries, chain })
    }

    fn step(&mut self, half: u8) -> Result<StepProgress, BytesError> {
        let state = StepState::from_bits(half & !WRITTEN_OUT).ok_or(BytesError::Damaged("it has an unknown state"))?;
        let attempts = if half & WRITTEN_OUT == 0 { usual_attempts(state) } else { self.varint()? };
        Ok(StepProgress { state, attempts })
    }

    fn byte(&mut self) -> Result<u8, BytesError> {
        let (first, rest) = self.0.split_first().ok_or(BytesError::Damaged("it ends too early"))?;
        self.0 = rest;
        Ok(*first)
    }

    fn varint(&mut self) -> Result<u32, BytesError> {
        let mut n = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(n).map_err(|_| BytesError::Damaged("a number is too large"));
            }
        }
        Err(BytesError::Damaged("a number is too long"))
    }
}
