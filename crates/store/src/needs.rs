//! What a command is going to touch, said beforehand: an engine that fetches the rows of many commands together needs to know, and to lock
//! in one order. A need that was not said is found out while the command runs, and costs another round trip; a lock never is forgotten.

use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, ApprovalId, ReplayId, RunId, SessionId};
use tollgate_core::ports::{Dedupe, Step};
use tollgate_core::scope::Scope;

/// What one transaction may change at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Lock {
    /// A run with its actions, steps and approval requests.
    Run(RunId),
    /// A lane.
    Lane(Digest),
    /// An effect key with its waiters and denials.
    Key(Digest),
    /// An idempotency key, by its digest.
    Request(Digest),
    /// An approval request.
    Approval(ApprovalId),
    /// A replay.
    Replay(ReplayId),
}

/// What several commands of one group must not touch, since plain statements do not see each other inside it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Alone {
    /// An approval request.
    Approval(ApprovalId),
    /// A replay.
    Replay(ReplayId),
    /// What governs actions, and what is blocked by it.
    Config,
}

/// How a command stands to what governs actions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) enum Config {
    /// It does not ask.
    #[default]
    Untouched,
    /// It must not change while the command runs.
    Read,
    /// It changes.
    Changed,
}

/// The needs of one command.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Needs {
    pub(crate) scope: Option<Scope>,
    pub(crate) locks: Vec<Lock>,
    pub(crate) alone: Vec<Alone>,
    pub(crate) config: Config,
    pub(crate) sessions: Vec<SessionId>,
    pub(crate) steps: Vec<(RunId, Step)>,
    pub(crate) actions: Vec<ActionId>,
    /// Runs whose actions are looked at.
    pub(crate) views: Vec<RunId>,
    /// Runs of graphs.
    pub(crate) graphs: Vec<RunId>,
    /// Idempotency keys: their digest, route and text.
    pub(crate) requests: Vec<(Digest, String, String)>,
}

impl Needs {
    /// Of a command in this tenant and mode.
    pub(crate) fn of(scope: Scope) -> Self {
        Self { scope: Some(scope), ..Self::default() }
    }

    /// A run that is there already.
    pub(crate) fn run(mut self, run: RunId) -> Self {
        self.locks.push(Lock::Run(run));
        self
    }

    /// The actions of a run that is there already.
    pub(crate) fn views(mut self, run: RunId) -> Self {
        self.views.push(run);
        self
    }

    /// A run of a graph that is there already.
    pub(crate) fn graph(mut self, run: RunId) -> Self {
        self.graphs.push(run);
        self.run(run)
    }

    /// An action, with its lane and key.
    pub(crate) fn action(mut self, action: ActionId) -> Self {
        self.actions.push(action);
        self
    }

    /// A step that is held.
    pub(crate) fn step(mut self, run: RunId, step: Step) -> Self {
        self.steps.push((run, step));
        self
    }

    /// A session.
    pub(crate) fn session(mut self, session: impl Into<Option<SessionId>>) -> Self {
        self.sessions.extend(session.into());
        self
    }

    /// A lane.
    pub(crate) fn lane(mut self, lane: impl Into<Option<Digest>>) -> Self {
        self.locks.extend(lane.into().map(Lock::Lane));
        self
    }

    /// An effect key.
    pub(crate) fn key(mut self, key: impl Into<Option<Digest>>) -> Self {
        self.locks.extend(key.into().map(Lock::Key));
        self
    }

    /// An idempotency key.
    pub(crate) fn request(mut self, scope: Scope, dedupe: Option<&Dedupe>) -> Self {
        if let Some(d) = dedupe {
            let name = request(scope, d);
            self.locks.push(Lock::Request(name));
            self.requests.push((name, d.route.clone(), d.key.clone()));
        }
        self
    }

    /// Nobody else may touch this at the time.
    pub(crate) fn alone(mut self, with: Alone) -> Self {
        self.alone.push(with);
        self.locks.extend(match with {
            Alone::Approval(id) => Some(Lock::Approval(id)),
            Alone::Replay(id) => Some(Lock::Replay(id)),
            Alone::Config => None,
        });
        self
    }

    /// What governs actions must hold still.
    pub(crate) const fn config(mut self) -> Self {
        self.config = Config::Read;
        self
    }

    /// What governs actions changes.
    pub(crate) fn configures(mut self) -> Self {
        self.config = Config::Changed;
        self.alone(Alone::Config)
    }
}

/// The name of an idempotency key.
pub(crate) fn request(scope: Scope, d: &Dedupe) -> Digest {
    Digest::of_parts("tollgate/request/v1", &[scope.tenant_id.as_bytes(), &[scope.mode as u8], d.route.as_bytes(), d.key.as_bytes()])
}
