//! Concurrent requests become one statement and one commit.
//!
//! A commit costs about the same for one event as for a thousand, so events are not stored one by one: each
//! request leaves its events here and waits. A writer takes whatever is waiting, stores all of it in one
//! statement, and only then answers each request. There is no timer: while one commit is under way the next
//! group gathers. At rest a group is one event, and nothing is slower for it; under load it is hundreds.
//!
//! Each of the server's threads has a writer of its own. Only half of them store small groups at a time, so
//! that these grow instead of sharing the events between them; a large group waits for nobody.
//!
//! What may wait is bounded in bytes, together with the bodies that are being read. Beyond that a request is
//! refused at once, and nothing of it is kept.

use std::sync::Arc;
use std::time::Duration;

use rastro_service::telemetry::ErrorChain;
use rastro_store::{Acceptance, EventWriter, NewEvent, NewRequest, Refusal, Store, StoreError, Stored};
use tokio::sync::{Mutex, Semaphore, SemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;
use tracing::{error, warn};

use crate::memory::{Memory, NoRoom, Room};
use crate::metrics::GatewayMetrics;
use crate::readiness::StoreHealth;

/// A writer stops gathering at so many events. A request is never split, so a group may hold more.
const GROUP_EVENTS: usize = 1_000;
/// A group of so many events is worth a commit of its own while another is under way: what a statement costs
/// by itself is then little for each of them.
const LARGE_GROUP_EVENTS: usize = 128;
/// A commit that takes longer than this gives up its turn: the database may hang.
const LONGEST_TURN: Duration = Duration::from_millis(100);
/// How often a group that lost against a concurrent one (a deadlock) is tried again.
const CONFLICT_RETRIES: usize = 3;
/// A statement refused for its rows is refused within this time.
const PROMPT: Duration = Duration::from_millis(500);
/// How long it takes until a writer that died is started again: one that dies at once must not spin.
const RESTART_AFTER: Duration = Duration::from_millis(100);
/// What an event costs in memory beside its payload, roughly.
const OVERHEAD_BYTES: usize = 512;
/// What a lead, an order or a contact costs in memory, at most.
const RECORD_BYTES: usize = 16_384;

/// Why nothing is known to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotStored {
    /// Too much is waiting already.
    Full,
    /// It could not wait even alone.
    TooLarge,
    /// The database did not take it. Sending it again is safe.
    Unavailable,
    /// The database refuses these very events.
    Refused,
}

type Answer = Result<Stored, NotStored>;

struct Waiting {
    request: NewRequest,
    answer: oneshot::Sender<Answer>,
    /// Given back when the request is answered.
    _room: Room,
}

/// Who may store a small group: half of the writers of a process at a time.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Turns {
    pub(crate) fn new(writers: usize) -> Self {
        Turns(Arc::new(Semaphore::new(writers.div_ceil(2))))
    }
}

/// The way to a writer. Clones share it; it ends when the last clone is gone and all is answered.
#[derive(Clone)]
pub(crate) struct GroupCommit {
    waiting: mpsc::UnboundedSender<Waiting>,
    memory: Memory,
}

impl GroupCommit {
    /// Starts a writer on the current runtime, with a connection of its own.
    pub(crate) fn start(
        store: &Store,
        turns: &Turns,
        memory: &Memory,
        health: &StoreHealth,
        metrics: &GatewayMetrics,
    ) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let writer = Writer {
            store: store.clone(),
            connection: None,
            health: health.clone(),
            metrics: metrics.clone(),
        };
        tokio::spawn(keep_writing(writer, receiver, turns.clone()));
        GroupCommit {
            waiting: sender,
            memory: memory.clone(),
        }
    }

    /// Stores the events, logs what was refused of the same request, and says what became of each event. When
    /// this returns `Ok`, every accepted one is durable.
    pub(crate) async fn store(
        &self,
        events: Vec<NewEvent>,
        refusals: Vec<Refusal>,
    ) -> Result<Vec<Acceptance>, NotStored> {
        let request = NewRequest {
            events,
            refusals,
            ..NewRequest::default()
        };
        match self.store_request(request).await? {
            Stored::Now { acceptances, .. } => Ok(acceptances),
            // Without a key none can be taken, and what brings nothing that was read is never outdated.
            Stored::KeyTaken | Stored::Outdated => Err(NotStored::Unavailable),
        }
    }

    /// The same for a request that brings more than events.
    pub(crate) async fn store_request(&self, request: NewRequest) -> Answer {
        let bytes = request
            .events
            .iter()
            .map(|event| event.payload.len() + OVERHEAD_BYTES)
            .sum::<usize>()
            + request.refusals.len() * OVERHEAD_BYTES
            + (request.record.is_some() as usize + request.touchpoints.len()) * RECORD_BYTES;
        let room = self.memory.take(bytes).map_err(|reason| match reason {
            NoRoom::Now => NotStored::Full,
            NoRoom::Ever => NotStored::TooLarge,
        })?;
        let (answer, answered) = oneshot::channel();
        self.waiting
            .send(Waiting {
                request,
                answer,
                _room: room,
            })
            .map_err(|_| NotStored::Unavailable)?;
        // A writer that died took the sender with it.
        answered.await.unwrap_or(Err(NotStored::Unavailable))
    }
}

/// Starts the writer, and another when it dies of a defect: the group that it had is refused, what waits is
/// stored by the next.
async fn keep_writing(writer: Writer, receiver: mpsc::UnboundedReceiver<Waiting>, turns: Turns) {
    let receiver = Arc::new(Mutex::new(receiver));
    loop {
        let (next, receiver, turns) = (writer.another(), receiver.clone(), turns.clone());
        let writing = tokio::spawn(async move {
            let mut receiver = receiver.lock().await;
            next.run(&mut receiver, turns).await;
        });
        match writing.await {
            Err(death) if death.is_panic() => {
                writer.health.failed();
                writer.metrics.commit_failures.inc();
                error!(
                    "a writer died, which is a defect, and is started again; its requests were answered with 503"
                );
                tokio::time::sleep(RESTART_AFTER).await;
            }
            // All is stored, or the runtime ends.
            Ok(()) | Err(_) => return,
        }
    }
}

struct Writer {
    store: Store,
    connection: Option<EventWriter>,
    health: StoreHealth,
    metrics: GatewayMetrics,
}

impl Writer {
    /// One of the same store, with a connection of its own.
    fn another(&self) -> Self {
        Writer {
            store: self.store.clone(),
            connection: None,
            health: self.health.clone(),
            metrics: self.metrics.clone(),
        }
    }

    async fn run(mut self, receiver: &mut mpsc::UnboundedReceiver<Waiting>, turns: Turns) {
        self.warm_up().await;
        while let Some((group, turn)) = gather(receiver, &turns).await {
            let mut writing = std::pin::pin!(self.write(group));
            if tokio::time::timeout(LONGEST_TURN, &mut writing).await.is_err() {
                drop(turn);
                writing.await;
            }
        }
    }

    /// Connects and prepares the statement by storing nothing, so that the first request need not wait for
    /// that. A database that is away is asked again by the first group.
    async fn warm_up(&mut self) {
        let stored = match self.connection().await {
            Ok(connection) => connection.accept_requests(&[]).await,
            Err(error) => Err(error),
        };
        if stored.is_err() {
            self.connection = None;
        }
    }

    /// Stores a group and answers everyone in it.
    async fn write(&mut self, mut group: Vec<Waiting>) {
        if group.is_empty() {
            return;
        }
        // A group that the database refuses at once is cut in half, so that only the request at fault fails.
        // What took long failed for another reason, and halves would only take as long again.
        let mut rest = Vec::new();
        loop {
            let started = Instant::now();
            match self.accept(&group).await {
                Ok(stored) => {
                    self.health.stored();
                    answer(group, stored);
                }
                Err(error)
                    if error.may_be_about_the_rows() && group.len() > 1 && started.elapsed() < PROMPT =>
                {
                    rest.push(group.split_off(group.len() / 2));
                    continue;
                }
                Err(error) => {
                    self.metrics.commit_failures.inc();
                    let reason = if error.is_about_the_rows() {
                        error!(
                            "the database refuses events that passed every check: {}",
                            ErrorChain(&error)
                        );
                        NotStored::Refused
                    } else {
                        warn!(
                            "a group of {} requests could not be stored: {}",
                            group.len(),
                            ErrorChain(&error)
                        );
                        self.connection = None;
                        self.health.failed();
                        NotStored::Unavailable
                    };
                    refuse(group, reason);
                }
            }
            match rest.pop() {
                Some(next) => group = next,
                None => return,
            }
        }
    }

    /// Stores what is new and logs what is not, in one commit. What became of each event, in the order of the
    /// requests.
    async fn accept(&mut self, group: &[Waiting]) -> Result<Vec<Stored>, StoreError> {
        let requests: Vec<&NewRequest> = group.iter().map(|waiting| &waiting.request).collect();
        let started = Instant::now();
        let mut conflicts = 0;
        let stored = loop {
            match self.connection().await?.accept_requests(&requests).await {
                Err(error) if error.is_conflict() && conflicts < CONFLICT_RETRIES => conflicts += 1,
                result => break result?,
            }
        };
        self.metrics
            .commit_seconds
            .observe(started.elapsed().as_secs_f64());
        let events: usize = requests.iter().map(|request| request.events.len()).sum();
        self.metrics.group_size.observe(events as f64);
        Ok(stored)
    }

    async fn connection(&mut self) -> Result<&mut EventWriter, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.store.event_writer().await?,
        };
        Ok(self.connection.insert(connection))
    }
}

/// Waits for a request, and for a turn while there are few, and takes everything that waits by then. `None`
/// when there will be no more.
async fn gather<'t>(
    receiver: &mut mpsc::UnboundedReceiver<Waiting>,
    turns: &'t Turns,
) -> Option<(Vec<Waiting>, Option<SemaphorePermit<'t>>)> {
    let mut group = Vec::new();
    let mut events = 0;
    let mut add = |waiting: Waiting| {
        // Nobody waits for a request whose client went away; it will come again if it matters.
        if !waiting.answer.is_closed() {
            // An order that is pending, or a refusal, is a row as well.
            events += waiting.request.events.len().max(1);
            group.push(waiting);
        }
        events
    };

    let mut gathered = add(receiver.recv().await?);
    let mut turn = None;
    let mut waiting_for_turn = std::pin::pin!(turns.0.acquire());
    while gathered < LARGE_GROUP_EVENTS {
        tokio::select! {
            biased;
            acquired = &mut waiting_for_turn => {
                turn = acquired.ok();
                break;
            }
            next = receiver.recv() => match next {
                Some(next) => gathered = add(next),
                None => break,
            },
        }
    }
    while gathered < GROUP_EVENTS {
        match receiver.try_recv() {
            Ok(next) => gathered = add(next),
            Err(_) => break,
        }
    }
    // A large group does not keep small ones waiting either.
    Some((group, turn.filter(|_| gathered < LARGE_GROUP_EVENTS)))
}

/// Tells each request what became of its events.
fn answer(group: Vec<Waiting>, stored: Vec<Stored>) {
    for (waiting, stored) in group.into_iter().zip(stored) {
        reply(waiting.answer, Ok(stored));
    }
}

fn refuse(group: impl IntoIterator<Item = Waiting>, reason: NotStored) {
    for waiting in group {
        reply(waiting.answer, Err(reason));
    }
}

fn reply(to: oneshot::Sender<Answer>, answer: Answer) {
    // A client that went away meanwhile hears nothing. If it asks again it is told "duplicate".
    let _ = to.send(answer);
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;
    use rastro_core::dedup::EventKey;
    use rastro_store::IdempotencyKey;
    use rastro_test_support::TestDatabase;
    use uuid::Uuid;

    use super::*;

    /// Requests of an event each that wait at the returned receiver, for as long as somebody keeps the way
    /// back to their callers.
    fn requests(
        count: usize,
    ) -> (
        mpsc::UnboundedReceiver<Waiting>,
        mpsc::UnboundedSender<Waiting>,
        Vec<oneshot::Receiver<Answer>>,
    ) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let answers = (0..count).map(|_| send(&sender)).collect();
        (receiver, sender, answers)
    }

    fn send(to: &mpsc::UnboundedSender<Waiting>) -> oneshot::Receiver<Answer> {
        let (answer, answered) = oneshot::channel();
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let waiting = Waiting {
            request: request("a"),
            answer,
            _room: room,
        };
        assert!(to.send(waiting).is_ok());
        answered
    }

    /// Of one event.
    fn request(id: &str) -> NewRequest {
        let dataset_id = 1.try_into().unwrap();
        let event = NewEvent {
            key: EventKey::new(dataset_id, "Lead", id),
            dataset_id,
            name: "Lead".to_owned(),
            id: id.to_owned(),
            event_time: 0,
            send_by: 4_000_000_000,
            dedup_window_seconds: 86_400,
            action_source: "website",
            facts: Default::default(),
            test_event_code: String::new(),
            key_id: None,
            request_id: Uuid::nil(),
            traceparent: None,
            withheld: false,
            payload: "{}".to_owned(),
            recall: None,
        };
        NewRequest {
            events: vec![event],
            ..NewRequest::default()
        }
    }

    #[tokio::test]
    async fn a_writer_that_dies_is_seen_and_started_again() {
        let database = TestDatabase::create().await;
        let store = Store::new(&database.config(), "test").unwrap();
        let health = StoreHealth::new(Duration::ZERO);
        let memory = Memory::new(2 << 20, 1 << 20, Duration::from_secs(10));
        let metrics = GatewayMetrics::register(&mut Registry::default());
        let writer = GroupCommit::start(&store, &Turns::new(1), &memory, &health, &metrics);

        let deadly = NewRequest {
            idempotency: Some(IdempotencyKey {
                dataset_id: 1.try_into().unwrap(),
                key_id: 1,
                key: "deadly".to_owned(),
                body_hash: vec![0; 32],
                answer: Box::new(|_| panic!("a defect")),
            }),
            ..request("first")
        };
        let died = writer.store_request(deadly).await;
        assert!(matches!(died, Err(NotStored::Unavailable)), "{died:?}");
        // Nothing was stored, so the same event is new; and whoever sends next is answered.
        let stored = writer.store_request(request("first")).await;
        assert!(
            matches!(&stored, Ok(Stored::Now { acceptances, .. })
                if matches!(acceptances[..], [Acceptance::Accepted { .. }])),
            "{stored:?}"
        );
        assert_eq!(metrics.commit_failures.get(), 1);
        assert!(health.check().is_ok(), "it stores again");
    }

    #[tokio::test]
    async fn a_small_group_grows_until_it_is_its_turn() {
        let turns = Turns::new(2);
        let (mut receiver, sender, mut answers) = requests(3);
        let others = turns.0.acquire().await.unwrap();
        let mut gathering = std::pin::pin!(gather(&mut receiver, &turns));
        assert!(futures_util::poll!(&mut gathering).is_pending());
        answers.extend([send(&sender), send(&sender)]);
        assert!(futures_util::poll!(&mut gathering).is_pending());
        drop(others);
        let (group, turn) = gathering.await.unwrap();
        assert_eq!(group.len(), 5);
        assert!(turn.is_some());
    }

    #[tokio::test]
    async fn a_large_group_neither_waits_for_a_turn_nor_takes_one() {
        let turns = Turns::new(2);
        let (mut receiver, _sender, _answers) = requests(LARGE_GROUP_EVENTS);
        let (group, turn) = gather(&mut receiver, &turns).await.unwrap();
        assert_eq!(group.len(), LARGE_GROUP_EVENTS);
        assert!(turn.is_none());

        let _others = turns.0.acquire().await.unwrap();
        let (mut receiver, sender, mut answers) = requests(1);
        let mut gathering = std::pin::pin!(gather(&mut receiver, &turns));
        assert!(futures_util::poll!(&mut gathering).is_pending());
        answers.extend((1..LARGE_GROUP_EVENTS).map(|_| send(&sender)));
        assert_eq!(gathering.await.unwrap().0.len(), LARGE_GROUP_EVENTS);
    }

    #[tokio::test]
    async fn what_waits_when_the_last_request_has_come_is_still_gathered() {
        let turns = Turns::new(1);
        let (mut receiver, sender, _answers) = requests(2);
        drop(sender);
        let _others = turns.0.acquire().await.unwrap();
        assert_eq!(gather(&mut receiver, &turns).await.unwrap().0.len(), 2);
        assert!(gather(&mut receiver, &turns).await.is_none());
    }
}
