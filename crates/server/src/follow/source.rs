//! What a stream reads: the event log, the log of changes, or what it says of one run. Knows pages and positions, nothing of connections.

use serde_json::json;
use tollgate_core::change::{Change, What};
use tollgate_core::event::Event;
use tollgate_core::id::RunId;
use tollgate_core::ports::StoreError;
use tollgate_core::route::matches;
use tollgate_core::run::RunState;
use tollgate_core::scope::Scope;

use crate::deps::State;
use crate::error::{ApiError, Code};
use crate::view::{ChangeView, event_json};

/// Events read at once: with the longest payloads this is what a stream holds in memory.
const PAGE: u32 = 16;

/// Which events. What is not given fits all.
pub(crate) struct Filter {
    /// A glob.
    pub event_type: Option<String>,
    pub source: Option<String>,
    pub subject: Option<String>,
}

impl Filter {
    fn fits(&self, e: &Event) -> bool {
        self.event_type.as_deref().is_none_or(|glob| matches(glob, &e.event_type))
            && self.source.as_ref().is_none_or(|s| *s == e.source)
            && self.subject.as_ref().is_none_or(|s| e.subject.as_ref() == Some(s))
    }
}

/// Where a stream reads.
pub(crate) enum Source {
    /// Stored events.
    Events(Filter),
    /// Changes of everything, or of what a glob over their types fits.
    Changes(Option<String>),
    /// Changes of one run, until it is over.
    Run(OneRun),
}

/// A run that is followed.
pub(crate) struct OneRun {
    id: RunId,
    /// How it stands by what was read.
    state: Option<RunState>,
    /// Its row was looked at, once everything was read.
    compared: bool,
}

/// Something to send.
pub(crate) enum Item {
    Event(Box<Event>),
    Change(Change),
}

/// Some of it, and where to go on.
pub(crate) struct Read {
    pub items: Vec<(u64, Item)>,
    pub to: u64,
    pub more: bool,
}

impl Source {
    /// Of one run.
    pub fn run(id: RunId) -> Self {
        Self::Run(OneRun { id, state: None, compared: false })
    }

    /// Where reading begins. A run is read from its start, whatever was seen of it: how it stands is known from all of it.
    pub fn begin(&self, after: u64) -> u64 {
        if matches!(self, Self::Run(_)) { 0 } else { after }
    }

    /// Whether everything behind a position can be given.
    ///
    /// # Errors
    /// `cursor_expired` when retention has passed it.
    pub async fn check(&self, app: &State, scope: Scope, after: u64) -> Result<(), ApiError> {
        if after == 0 {
            return Ok(());
        }
        let there = match self {
            Self::Events(_) => app.deps.events.events_after(scope, after - 1, 1).await?.first().is_some_and(|(at, _)| *at == after),
            Self::Changes(_) | Self::Run(_) => app.deps.changes.changes_from(scope).await?.is_some_and(|from| from < after),
        };
        let message = "what this cursor stands at is not kept any more, and what followed may be gone with it: leave the cursor out to start \
             with the oldest that is kept";
        if there { Ok(()) } else { Err(ApiError::new(Code::CursorExpired, message)) }
    }

    /// The next page behind a position.
    pub async fn read(&mut self, app: &State, scope: Scope, position: u64) -> Result<Read, StoreError> {
        match self {
            Self::Events(_) => {
                let page = app.deps.events.events_after(scope, position, PAGE).await?;
                let more = page.len() >= PAGE as usize;
                let to = page.last().map_or(position, |(at, _)| *at);
                Ok(Read { items: page.into_iter().map(|(at, e)| (at, Item::Event(Box::new(e)))).collect(), to, more })
            }
            Self::Changes(_) => changes(app, scope, None, position).await,
            Self::Run(run) => run.read(app, scope, position).await,
        }
    }

    /// What is sent for an item; none when it is not wanted.
    pub fn shown(&self, item: &Item) -> Option<Vec<u8>> {
        match (self, item) {
            (Self::Events(filter), Item::Event(e)) => filter.fits(e).then(|| event_json(e)),
            (Self::Changes(Some(glob)), Item::Change(c)) if !matches(glob, &ChangeView::word(c)) => None,
            (_, Item::Change(c)) => serde_json::to_vec(&ChangeView::from(c)).ok(),
            (_, Item::Event(_)) => None,
        }
    }

    /// The last word of a stream that is over when everything was read.
    pub fn end(&self) -> Option<Vec<u8>> {
        let Self::Run(run) = self else { return None };
        let state = run.state.filter(|s| s.is_final())?;
        Some(json!({"object": "end", "run_id": run.id.to_string(), "state": state.as_str()}).to_string().into_bytes())
    }
}

async fn changes(app: &State, scope: Scope, run: Option<RunId>, position: u64) -> Result<Read, StoreError> {
    let page = app.deps.changes.changes_after(scope, run, position).await?;
    Ok(Read { items: page.found.into_iter().map(|(at, c)| (at, Item::Change(c))).collect(), to: page.to, more: page.more })
}

impl OneRun {
    async fn read(&mut self, app: &State, scope: Scope, position: u64) -> Result<Read, StoreError> {
        let mut read = self.page(app, scope, position).await?;
        if read.more || self.compared || self.is_over() {
            return Ok(read);
        }
        // What the log says may be late, or have been retired: the row says whether anything will come.
        self.compared = true;
        let stands = app.deps.lists.run(scope, self.id).await?.map(|r| r.state).filter(|s| s.is_final());
        if stands.is_some() {
            app.deps.events.publish().await?;
            let late = self.page(app, scope, read.to).await?;
            read.items.extend(late.items);
            (read.to, read.more) = (late.to, late.more);
            if !read.more && !self.is_over() {
                self.state = stands;
            }
        }
        Ok(read)
    }

    async fn page(&mut self, app: &State, scope: Scope, position: u64) -> Result<Read, StoreError> {
        let read = changes(app, scope, Some(self.id), position).await?;
        for (_, item) in &read.items {
            if let Item::Change(Change { what: What::Run(state), .. }) = item {
                self.state = Some(*state);
            }
        }
        Ok(read)
    }

    fn is_over(&self) -> bool {
        self.state.is_some_and(RunState::is_final)
    }
}
