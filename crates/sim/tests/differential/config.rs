//! What governs actions, and replays.

use tollgate_core::hash::Digest;
use tollgate_core::id::{DeploymentId, KeyId, ReplayId};
use tollgate_core::ledger::Kind;
use tollgate_core::ports::{ApiKeyRecord, Deploy, ReplayRange, SecretCiphertext};

use crate::ops::Op;
use crate::terms::rules;
use crate::world::{World, both, scope_of, shown};

impl World {
    pub async fn configure(&mut self, op: &Op) -> String {
        match *op {
            Op::Append { scope } => {
                let (scope, entry) = (scope_of(scope), self.entry(Kind::Change, None));
                shown(&both!(self, |s| s.append(scope, entry.clone())))
            }
            Op::Deploy { scope, most } => {
                let (id, scope) = (DeploymentId::from_bytes(self.id()), scope_of(scope));
                let artifacts = vec![(Digest::of(b"policy"), "policy".to_owned(), b"permit".to_vec())];
                let bundle = Digest::of(id.as_bytes());
                let deploy = Deploy {
                    id,
                    bundle,
                    artifacts,
                    rules: rules(&scope, u32::from(most)),
                    entries: vec![self.entry(Kind::Change, None)],
                    at: self.now(),
                };
                shown(&both!(self, |s| s.deploy(scope, deploy.clone())))
            }
            Op::Status { scope, name, paused } => {
                let (scope, entry) = (scope_of(scope), self.entry(Kind::Change, None));
                let status = if paused { "paused" } else { "active" };
                let set = |s: std::sync::Arc<dyn tollgate_core::ports::Ports>| {
                    let entry = entry.clone();
                    async move { s.set_status(scope, "operator".to_owned(), format!("op{name}"), status.to_owned(), entry).await }
                };
                shown(&both!(self, |s| set(s)))
            }
            Op::Secret { scope, name, remove } => {
                let (scope, entry, name, at) = (scope_of(scope), self.entry(Kind::Change, None), format!("s{name}"), self.now());
                if remove {
                    return shown(&both!(self, |s| s.remove_secret(scope, name.clone(), entry.clone())));
                }
                let version = both!(self, |s| s.secret_row(scope, name.clone())).unwrap().map_or(1, |s| s.version + 1);
                let secret = SecretCiphertext { name, version, bytes: vec![1, 2, 3] };
                shown(&both!(self, |s| s.put_secret(scope, secret.clone(), entry.clone(), at)))
            }
            Op::Key { scope } => {
                let (id, scope, entry) = (KeyId::from_bytes(self.id()), scope_of(scope), self.entry(Kind::Change, None));
                let hash = Digest::of(id.as_bytes());
                let (name, scopes) = ("ci".to_owned(), vec!["runs:read".to_owned(), "events:read".to_owned()]);
                let record = ApiKeyRecord { id, scope, name, hash, scopes, created_at: self.now(), revoked_at: None };
                self.keys.push((scope, id));
                shown(&both!(self, |s| s.put_api_key(record.clone(), entry.clone())))
            }
            Op::Revoke { pick } => {
                let Some((scope, id)) = Self::pick(&self.keys, pick) else { return "no key".to_owned() };
                let (at, entry) = (self.now(), self.entry(Kind::Change, None));
                shown(&both!(self, |s| s.revoke_api_key(scope, id, at, entry.clone())))
            }
            Op::Replay { scope } => {
                let (id, scope, at) = (ReplayId::from_bytes(self.id()), scope_of(scope), self.now());
                let range = ReplayRange { id, from: None, to: None, operator: None, event_type: None };
                let answer = both!(self, |s| s.begin_replay(scope, range.clone(), at));
                self.replays.push((scope, id));
                shown(&answer)
            }
            Op::Slice { pick, runs, stale } => self.slice(pick, runs, stale).await,
            ref other => panic!("{other:?}"),
        }
    }

    async fn slice(&mut self, pick: u8, runs: u8, stale: bool) -> String {
        let Some((scope, id)) = Self::pick(&self.replays, pick) else { return "no replay".to_owned() };
        let Some(state) = both!(self, |s| s.replay(scope, id)).unwrap() else { return "no such replay".to_owned() };
        let events: Vec<_> = self.events.iter().filter(|(s, _)| *s == scope).map(|(_, e)| *e).take(usize::from(runs)).collect();
        // Runs of a slice that was done before would be the same offering twice.
        if state.next > 0 {
            return "done before".to_owned();
        }
        let new: Vec<_> = events.into_iter().map(|e| (e, self.new_runs(scope, 1, false, 0).remove(0))).collect();
        let expected = state.next + u64::from(stale);
        let answer = both!(self, |s| s.advance_replay(scope, id, expected, state.end.max(1), new.clone()));
        if answer.is_ok() {
            self.runs.extend(new.iter().map(|(_, r)| (scope, r.id)));
        }
        shown(&answer)
    }
}
