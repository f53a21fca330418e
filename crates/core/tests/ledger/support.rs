//! A realistic small log, a policy that is a real function of artifact and request, and exports of the log.

use std::collections::BTreeMap;
use std::convert::Infallible;

use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use tollgate_core::canon::canonical;
use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, ApprovalId, EntryId, EventId, PlanId, ResellerId, RunId, TenantId, uuid_v7};
use tollgate_core::ledger::*;
use tollgate_core::scope::{Mode, Scope};
use tollgate_core::spec::Effect;
use tollgate_core::time::Timestamp;
use tollgate_core::verdict::{DecisionReason, Verdict};

pub const START: i64 = 1_790_000_000_000_000;

pub fn bytes(n: u64) -> [u8; 16] {
    let b = n.to_be_bytes();
    uuid_v7(START as u64 / 1000 + n, [b[6], b[7], 1, 2, 3, 4, 5, 6, 7, 8])
}

pub fn key() -> SigningKey {
    SigningKey::from_bytes(&[42; 32])
}

pub fn public() -> PublicKey {
    PublicKey(key().verifying_key())
}

pub fn scope() -> Scope {
    Scope { reseller_id: ResellerId::from_bytes(bytes(1)), tenant_id: TenantId::from_bytes(bytes(2)), mode: Mode::Live }
}

/// The policy set: what verdicts are recomputed from.
pub fn artifact() -> Value {
    json!({"evaluator": "test/1", "rules": [
        {"effect": "permit", "id": "labels-are-free", "tool": "github.add_label"},
        {"effect": "permit", "id": "refunds", "tool": "shop.refund"},
        {"effect": "permit", "id": "refunds-over-50-ask-finance", "queue": "finance", "over": 5000, "tool": "shop.refund"},
        {"effect": "forbid", "id": "no-refunds-over-1000", "over": 100_000, "tool": "shop.refund"},
    ]})
}

/// Evaluates a request against an artifact's rules: forbid beats permit, a permit with a queue asks for approval.
pub fn recompute(artifact: &Value, request: &Value) -> Result<RecomputedVerdict, String> {
    let rules = artifact["rules"].as_array().ok_or("the artifact has no rules")?;
    let tool = request["action"].as_str().ok_or("the request has no action")?;
    let amount = request["context"]["amount_minor"].as_i64().unwrap_or(0);
    let hit = |effect: &str| -> Vec<&Value> {
        rules.iter().filter(|r| r["effect"] == effect && r["tool"] == tool && amount > r["over"].as_i64().unwrap_or(-1)).collect()
    };
    let (permits, forbids) = (hit("permit"), hit("forbid"));
    let determining = if forbids.is_empty() { permits } else { forbids.clone() };
    let mut queues: Vec<String> = determining.iter().filter_map(|r| r["queue"].as_str().map(str::to_owned)).collect();
    queues.sort();
    let (verdict, reason) = match (forbids.is_empty(), determining.is_empty(), queues.is_empty()) {
        (false, _, _) => (Verdict::Block, DecisionReason::Forbidden),
        (true, true, _) => (Verdict::Block, DecisionReason::NotPermitted),
        (true, false, false) => (Verdict::RequireApproval, DecisionReason::ApprovalRequired),
        (true, false, true) => (Verdict::Allow, DecisionReason::Permitted),
    };
    let mut ids: Vec<String> = determining.iter().map(|r| r["id"].as_str().unwrap_or_default().to_owned()).collect();
    ids.sort();
    let text: Vec<Vec<u8>> = determining.iter().map(|r| canonical(r).unwrap()).collect();
    let parts: Vec<&[u8]> = text.iter().map(Vec::as_slice).collect();
    Ok(RecomputedVerdict { verdict, reason, determining: ids, queues, determining_text: Some(Digest::of_parts("text", &parts)) })
}

/// One action: its name in the log, its salt, and what it commits to.
pub struct Act {
    pub of: ActionRef,
    pub salts: Commitments,
    pub args: Value,
    pub request: Value,
}

pub fn act(n: u64, tool: &str, effect: Effect, args: Value) -> Act {
    let of = ActionRef {
        action: ActionId::from_bytes(bytes(1000 + n)),
        run: RunId::from_bytes(bytes(2000 + n)),
        plan: PlanId::from_bytes(bytes(3000 + n)),
        event: Some(EventId::from_bytes(bytes(4000 + n))),
        principal: "operator:triage".into(),
        tool: tool.into(),
        tool_digest: Some(Digest::of(tool.as_bytes())),
        effect,
    };
    let request = json!({"principal": "triage", "action": tool, "resource": "order:7", "context": args});
    Act { of, salts: Commitments::new([u8::try_from(n).unwrap(); 32]), args, request }
}

impl Act {
    pub fn decided(&self) -> Decided {
        let again = recompute(&artifact(), &self.request).unwrap();
        Decided {
            verdict: again.verdict,
            reason: again.reason,
            determining: again.determining,
            queues: again.queues,
            policy_version: Digest::of(&canonical(&artifact()).unwrap()),
            determining_text: again.determining_text.unwrap(),
            request: self.salts.commit_json("request", &self.request).unwrap(),
        }
    }

    pub fn committed(&self) -> Committed {
        Committed::from([
            (Field::Args, self.salts.commit_json("args", &self.args).unwrap()),
            (Field::EntityKey, self.salts.commit("entity_key", b"order:7")),
            (Field::Key, self.salts.commit("key", b"triage:7:refund")),
        ])
    }

    pub fn openings(&self, decided: bool) -> Vec<Opening> {
        let mut all = vec![
            self.salts.opening("args", Opened::Json(self.args.clone())),
            self.salts.opening("entity_key", Opened::Text("order:7".into())),
        ];
        if decided {
            all.push(self.salts.opening("request", Opened::Json(self.request.clone())));
        }
        all
    }

    pub fn intent(&self, attempt: u32, approvals: Vec<EntryId>) -> Body {
        Body::Intent(Box::new(Intent {
            of: self.of.clone(),
            attempt,
            generation: 1,
            decision: self.decided(),
            approvals,
            deadline_at: Timestamp::from_micros(START + 10_000_000),
            committed: self.committed(),
        }))
    }

    pub fn attempt(&self, attempt: u32, intent: EntryId, result: tollgate_core::attempt::AttemptResult) -> Body {
        let committed = Committed::from([(Field::Output, self.salts.commit("output#1", b"{\"ok\":true}"))]);
        Body::Attempt(Box::new(AttemptEnd {
            of: self.of.clone(),
            attempt,
            generation: 1,
            intent,
            result,
            status: Some(200),
            concluded_by: None,
            committed,
        }))
    }

    pub fn receipt(&self, disposition: Disposition, verdict: Option<Verdict>, attempts: u32, refs: Refs) -> Body {
        Body::Receipt(Box::new(Receipt {
            of: self.of.clone(),
            disposition,
            verdict,
            reason: disposition.as_str().to_owned(),
            decision: verdict.filter(|v| *v != Verdict::Dedup).map(|_| self.decided()),
            attempts,
            refs,
            args_differ: false,
            stub: false,
            committed: self.committed(),
        }))
    }

    pub fn approval(&self, n: u64, step: ApprovalStep) -> Body {
        Body::Approval(Box::new(Approval {
            of: self.of.clone(),
            approval: ApprovalId::from_bytes(bytes(n)),
            queue: "finance".into(),
            step,
            by: (step != ApprovalStep::Requested).then(|| "service_account:ada".to_owned()),
            proof: (step != ApprovalStep::Requested).then(|| Proof { kind: "api_key".into(), data: None }),
            expires_at: Timestamp::from_micros(START + 72 * 3_600_000_000),
            committed: Committed::from([(Field::Shown, self.salts.commit("shown", b"refund order 7"))]),
        }))
    }
}

/// A stored entry: what an exporter has at hand.
#[derive(Clone)]
pub struct Stored {
    pub leaf: Vec<u8>,
    pub openings: Vec<Opening>,
    pub erased: Option<EntryId>,
}

#[derive(Clone, Default)]
pub struct Log {
    pub entries: Vec<Stored>,
}

impl Log {
    /// The id that the entry at the end will have.
    pub fn next_id(&self) -> EntryId {
        entry_id(self.entries.len() as u64)
    }

    pub fn push(&mut self, body: Body, openings: Vec<Opening>) -> EntryId {
        let id = self.next_id();
        let at = Timestamp::from_micros(START + 1000 * self.entries.len() as i64);
        let leaf = Entry { id, scope: scope(), at, body }.to_leaf().unwrap();
        self.entries.push(Stored { leaf, openings, erased: None });
        id
    }

    pub fn hashes(&self) -> Vec<Digest> {
        self.entries.iter().map(|e| leaf_hash(&e.leaf)).collect()
    }

    pub fn checkpoint(&self, size: u64) -> SignedCheckpoint {
        let root = root_at(self, size).unwrap();
        let at = Timestamp::from_micros(START + 60_000_000);
        Checkpoint { log: log_id(&scope()), size, root, at, key_id: String::new() }.sign(&key()).unwrap()
    }

    pub fn size(&self) -> u64 {
        self.entries.len() as u64
    }

    pub fn manifest(&self, from: u64, to: u64) -> Manifest {
        Manifest::new(self.checkpoint(self.size()), &public(), from, to, range_proof(self, from, to, self.size()).unwrap())
    }

    /// Exports a range; positions that `hide` names are hidden.
    pub fn export(&self, from: u64, to: u64, hide: &[u64]) -> String {
        let mut manifest = self.manifest(from, to);
        manifest.filter = (!hide.is_empty()).then(|| json!({"tool": "shop.*"}));
        self.export_with(manifest, hide)
    }

    pub fn export_with(&self, manifest: Manifest, hide: &[u64]) -> String {
        let (from, to) = (manifest.from, manifest.to);
        let mut out = ExportWriter::begin(Vec::new(), manifest).unwrap();
        out.write(Item::Artifact(artifact())).unwrap();
        out.write_all((from..to).map(|pos| {
            let e = self.entries[pos as usize].clone();
            if hide.contains(&pos) {
                return Item::Hidden { pos, hash: leaf_hash(&e.leaf) };
            }
            Item::Entry { pos, leaf: e.leaf, openings: e.openings, erased: e.erased }
        }))
        .unwrap();
        String::from_utf8(out.finish(&key()).unwrap()).unwrap()
    }
}

impl HashSource for Log {
    type Error = Infallible;
    fn leaves(&self, from: u64, to: u64) -> Result<Vec<Digest>, Infallible> {
        Ok(self.hashes()[from as usize..to as usize].to_vec())
    }
    fn tiles(&self, _: u8, _: u64, _: u64) -> Result<Vec<Digest>, Infallible> {
        Ok(Vec::new())
    }
}

pub fn entry_id(n: u64) -> EntryId {
    EntryId::from_bytes(bytes(5000 + n))
}

pub fn check(file: &str) -> Result<Report, VerifyFailure> {
    verify(file.as_bytes(), Some(&public()), None, &recompute)
}

pub fn check_with(file: &str, witness: &SignedCheckpoint) -> Result<Report, VerifyFailure> {
    verify(file.as_bytes(), Some(&public()), Some(witness), &recompute)
}

/// The leaf at a position, changed, with everything that an attacker without the key can make right made right.
pub fn tampered(file: &str, line: usize, change: impl FnOnce(&mut Value)) -> String {
    let mut lines: Vec<Value> = file.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let target = &mut lines[line];
    change(target);
    if let Some(leaf) = target.get("leaf") {
        let hash = leaf_hash(&canonical(leaf).unwrap());
        target["hash"] = json!(hash);
    }
    if target.get("digest").is_some() {
        target["digest"] = json!(Digest::of(&canonical(&target["value"]).unwrap()));
    }
    reseal(lines)
}

/// Lines as text again, under a seal whose digests and counts fit and whose signature does not.
pub fn reseal(mut lines: Vec<Value>) -> String {
    let text = |v: &Value| format!("{}\n", String::from_utf8(canonical(v).unwrap()).unwrap());
    let (seal, rest) = lines.split_last_mut().unwrap();
    let body: String = rest[1..].iter().map(text).collect();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for line in rest.iter() {
        *counts.entry(line["type"].as_str().unwrap()).or_default() += 1;
    }
    seal["manifest"] = json!(Digest::of(text(&rest[0]).as_bytes()));
    seal["body"] = json!(Digest::of(body.as_bytes()));
    for (kind, name) in [("entry", "entries"), ("hidden", "hidden"), ("artifact", "artifacts")] {
        seal[name] = json!(counts.get(kind).copied().unwrap_or(0));
    }
    text(&rest[0]) + &body + &text(seal)
}

/// Change, a plain write, one with approval that ends unknown and is resolved, and every way of not happening.
pub fn realistic() -> Log {
    use Disposition as D;
    use tollgate_core::attempt::AttemptResult as R;
    let mut log = Log::default();
    let policy = Some(Digest::of(&canonical(&artifact()).unwrap()));
    log.push(
        Body::Change(Box::new(Change {
            subject: Subject::Policy,
            name: "policies".into(),
            by: "system:deploy".into(),
            status: "active".into(),
            digest: policy,
            previous: None,
            version: Some(1),
            deployment: None,
        })),
        vec![],
    );
    // A plain write.
    let a = act(1, "github.add_label", Effect::Write, json!({"issue": 7, "label": "needs-triage"}));
    let intent = log.push(a.intent(1, vec![]), a.openings(true));
    let output = a.salts.opening("output#1", Opened::Json(json!({"ok": true})));
    let attempt = log.push(a.attempt(1, intent, R::Applied), vec![output]);
    let refs = Refs { intent: Some(intent), attempt: Some(attempt), ..Refs::default() };
    let first = log.push(a.receipt(D::Applied, Some(Verdict::Allow), 1, refs), a.openings(true));
    // A refund that a person approves, that ends unknown, and is resolved by late evidence.
    let b = act(2, "shop.refund", Effect::Write, json!({"amount_minor": 7500, "order": "7"}));
    log.push(b.approval(1, ApprovalStep::Requested), vec![b.salts.opening("shown", Opened::Text("refund order 7".into()))]);
    let approved = log.push(b.approval(1, ApprovalStep::Approved), vec![]);
    let intent = log.push(b.intent(1, vec![approved]), b.openings(true));
    let attempt = log.push(b.attempt(1, intent, R::Ambiguous), vec![]);
    let refs = Refs { intent: Some(intent), attempt: Some(attempt), approval: Some(approved), duplicate_of: None };
    let unknown = log.push(b.receipt(D::Unknown, Some(Verdict::RequireApproval), 1, refs), b.openings(true));
    let evidence = log.push(
        Body::Evidence(Box::new(Evidence {
            of: b.of.clone(),
            attempt: 1,
            generation: 1,
            intent,
            result: R::Applied,
            status: Some(201),
            committed: Committed::new(),
        })),
        vec![],
    );
    log.push(
        Body::Resolution(Box::new(Resolution {
            of: b.of.clone(),
            receipt: unknown,
            resolved: D::Applied,
            by: "service_account:ada".into(),
            evidence: Some(evidence),
            committed: Committed::from([(Field::Comment, b.salts.commit("comment", b"seen in the shop"))]),
        })),
        vec![b.salts.opening("comment", Opened::Text("seen in the shop".into()))],
    );
    not_happened(&mut log, first);
    erased_and_open(&mut log);
    log
}

fn not_happened(log: &mut Log, first: EntryId) {
    use Disposition as D;
    let c = act(3, "shop.refund", Effect::Write, json!({"amount_minor": 200_000, "order": "8"}));
    log.push(c.receipt(D::Refused, Some(Verdict::Block), 0, Refs::default()), c.openings(true));
    let d = act(4, "github.add_label", Effect::Write, json!({"issue": 7, "label": "needs-triage"}));
    let refs = Refs { duplicate_of: Some(first), ..Refs::default() };
    log.push(d.receipt(D::Deduplicated, Some(Verdict::Dedup), 0, refs), d.openings(false));
    let e = act(5, "shop.refund", Effect::Write, json!({"amount_minor": 9000, "order": "9"}));
    log.push(e.approval(2, ApprovalStep::Requested), vec![]);
    let denied = log.push(e.approval(2, ApprovalStep::Denied), vec![]);
    let refs = Refs { approval: Some(denied), ..Refs::default() };
    log.push(e.receipt(D::Denied, Some(Verdict::RequireApproval), 0, refs), e.openings(true));
    let s = act(6, "github.add_label", Effect::Write, json!({"issue": 8, "label": "later"}));
    log.push(s.receipt(D::Skipped, None, 0, Refs::default()), vec![]);
}

fn erased_and_open(log: &mut Log) {
    use tollgate_core::attempt::AttemptResult as R;
    let f = act(7, "github.add_label", Effect::Write, json!({"issue": 9, "label": "private"}));
    let first = log.entries.len();
    let intent = log.push(f.intent(1, vec![]), vec![]);
    let attempt = log.push(f.attempt(1, intent, R::Applied), vec![]);
    let refs = Refs { intent: Some(intent), attempt: Some(attempt), ..Refs::default() };
    log.push(f.receipt(Disposition::Applied, Some(Verdict::Allow), 1, refs), vec![]);
    let erasure = Erasure { key_id: "0f".repeat(16), reason: "subject_request".into(), by: "service_account:ada".into() };
    let erased = log.push(Body::Erasure(Box::new(erasure)), vec![]);
    for e in &mut log.entries[first..first + 3] {
        e.erased = Some(erased);
    }
    let g = act(8, "github.get_issue", Effect::Read, json!({"issue": 7}));
    log.push(g.receipt(Disposition::Refused, Some(Verdict::Block), 0, Refs::default()), g.openings(true));
    let h = act(9, "github.add_label", Effect::Write, json!({"issue": 10, "label": "open"}));
    log.push(h.intent(1, vec![]), vec![]);
}
