//! How this process and Consul get on: what is asked of it again and again, and what came of it last.

use std::{
    collections::BTreeMap,
    error::Error as StdError,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use opentelemetry::{KeyValue, global};
use parking_lot::Mutex;
use serde_json::{Value, json};
use shop_consul::{Client, Error, Indexed, Wait};
use tokio::time::sleep;

/// How long Consul may hold a query back while nothing changes. Short, so that a connection that leads nowhere, which
/// nothing else would tell from one without news, is found out in time: within ten seconds everybody is registered again.
const WAIT: Duration = Duration::from_secs(5);
/// Between an answer and the next query: a service whose instances come and go all the time must not keep everyone busy.
const PACE: Duration = Duration::from_millis(50);
/// The wait after a failure: doubled each time, and up to as much again at random. 100 ms to 3 s.
pub(crate) const RETRY: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(Duration::from_millis(1500))
    .without_max_times()
    .with_jitter();

/// The client, and what is known of Consul by it.
pub(crate) struct Link {
    pub(crate) client: Client,
    questions: Mutex<BTreeMap<String, Question>>,
}

/// What came of a question.
#[derive(Default)]
struct Question {
    answered: Option<Instant>,
    index: u64,
    error: Option<Failure>,
}

struct Failure {
    text: String,
    outage: bool,
    since: Instant,
}

/// An answer, with what is to know about it.
pub(crate) struct News<T> {
    pub(crate) value: T,
    /// Consul may have lost what it knew since the last answer: it was away, or its index went back.
    pub(crate) after_a_loss: bool,
}

impl Link {
    pub(crate) fn new(client: Client) -> Arc<Self> {
        let link = Arc::new(Self { client, questions: Mutex::default() });
        observe(&Arc::downgrade(&link));
        link
    }

    /// Asks for ever, and tells what is new, as soon as it is. Also the same again: at least after each [`WAIT`].
    pub(crate) async fn follow<T, Asked>(
        &self,
        question: &str,
        ask: impl Fn(Wait) -> Asked,
        mut tell: impl FnMut(News<T>),
    ) where
        Asked: Future<Output = Result<Indexed<T>, Error>>,
    {
        let mut wait = Wait { index: 0, time: WAIT };
        let mut known = 0;
        let mut after_a_loss = false;
        let mut backoff = RETRY.build();
        loop {
            match ask(wait).await {
                Ok(Indexed { index, value }) => {
                    self.answered(question, Some(index));
                    after_a_loss |= index < known;
                    tell(News { value, after_a_loss });
                    (known, after_a_loss) = (index, false);
                    wait = wait.after(index);
                    backoff = RETRY.build();
                    sleep(PACE).await;
                }
                Err(error) => {
                    self.failed(question, &error);
                    after_a_loss |= known > 0;
                    // One that was restarted would wait for an index that it may not reach for long.
                    wait.index = 0;
                    sleep(backoff.next().unwrap_or(WAIT)).await;
                }
            }
        }
    }

    /// Something was answered; a write has no index.
    pub(crate) fn answered(&self, question: &str, index: Option<u64>) {
        let mut questions = self.questions.lock();
        let entry = questions.entry(question.to_owned()).or_default();
        entry.answered = Some(Instant::now());
        entry.index = index.unwrap_or(entry.index);
        if let Some(failure) = entry.error.take() {
            let away_ms = u64::try_from(failure.since.elapsed().as_millis()).unwrap_or(u64::MAX);
            if failure.outage && questions.values().any(Question::is_out) {
                tracing::debug!(consul.question = question, away_ms, "Consul answers this again.");
            } else {
                tracing::info!(consul.question = question, away_ms, "Consul answers again.");
            }
        }
    }

    /// Something was not answered. An outage is told once, whatever is asked; what is refused, for each question.
    pub(crate) fn failed(&self, question: &str, error: &Error) {
        let text = chain(error);
        let mut questions = self.questions.lock();
        let known_outage = questions.values().any(Question::is_out);
        let entry = questions.entry(question.to_owned()).or_default();
        let repeated = entry.error.as_ref().is_some_and(|last| last.outage == error.is_outage());
        if repeated || error.is_outage() && known_outage {
            tracing::debug!(consul.question = question, error = text, "Consul does not answer this.");
        } else if error.is_outage() {
            tracing::warn!(consul.question = question, error = text, "Consul does not answer: what is known stays.");
        } else {
            tracing::error!(consul.question = question, error = text, "Consul is asked in vain: what is known stays.");
        }
        let since = entry.error.as_ref().map_or_else(Instant::now, |last| last.since);
        entry.error = Some(Failure { text, outage: error.is_outage(), since });
    }

    /// Whether what was asked last was answered.
    fn is_up(&self) -> bool {
        let questions = self.questions.lock();
        questions.values().any(|question| question.answered.is_some()) && !questions.values().any(Question::is_out)
    }

    /// What operators see of Consul.
    pub(crate) fn report(&self) -> Value {
        let up = self.is_up();
        let questions = self.questions.lock();
        let questions: BTreeMap<&str, Value> = questions
            .iter()
            .map(|(name, question)| {
                let error = question.error.as_ref();
                let report = json!({
                    "answered_s_ago": question.answered.map(|at| at.elapsed().as_secs()),
                    "index": question.index,
                    "error": error.map(|failure| &failure.text),
                    "failing_s": error.map(|failure| failure.since.elapsed().as_secs()),
                });
                (name.as_str(), report)
            })
            .collect();
        json!({ "address": self.client.address().to_string(), "up": up, "questions": questions })
    }
}

impl Question {
    fn is_out(&self) -> bool {
        self.error.as_ref().is_some_and(|failure| failure.outage)
    }
}

/// The error and what caused it.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.extend([": ", &error.to_string()]);
        source = error.source();
    }
    text
}

fn observe(link: &Weak<Link>) {
    let meter = global::meter("shop");
    let up = Weak::clone(link);
    meter
        .u64_observable_gauge("shop.consul.up")
        .with_description("1 while Consul answers, 0 while it does not")
        .with_callback(move |observer| {
            if let Some(link) = up.upgrade() {
                observer.observe(u64::from(link.is_up()), &[]);
            }
        })
        .build();
    let ages = Weak::clone(link);
    meter
        .f64_observable_gauge("shop.consul.answer.age")
        .with_unit("s")
        .with_description("Time since Consul's last answer, by what it is asked")
        .with_callback(move |observer| {
            let Some(link) = ages.upgrade() else { return };
            for (name, question) in &*link.questions.lock() {
                if let Some(answered) = question.answered {
                    observer.observe(answered.elapsed().as_secs_f64(), &[KeyValue::new("question", name.clone())]);
                }
            }
        })
        .build();
}
