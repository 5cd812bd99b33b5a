//! Carrying out a plan: a thread that hands out requests when they are due, and a runtime of their own where they go and
//! come, so that whatever else the process does disturbs them little.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use fastrand::Rng;
use http::StatusCode;
use parking_lot::Mutex;
use tokio::{
    runtime::{Builder, Handle},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::Instant,
};
use tokio_util::task::TaskTracker;

use super::{
    KeyedRetry, LoadError, Operation, Plan, Report, Snapshot,
    connections::{Gateways, Incomer, Loss, Sent},
    crowd::Crowd,
    measure::{Ending, EndingKind, Measurements},
    shape::Schedule,
    visit::Visit,
};

/// How long the pacer sleeps at most before it looks whether it should stop.
const LONGEST_SLEEP: Duration = Duration::from_millis(20);
/// Pause before an order is sent again, unless the shop says how long, and how long that may go on.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
const RETRY_BOUND: Duration = Duration::from_mins(1);

/// A load that goes on. Dropping it ends it without a report.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    finished: oneshot::Receiver<Report>,
}

#[derive(Debug)]
struct Shared {
    /// Begun anew when the warm-up is over.
    measurements: Mutex<Measurements>,
    stop: AtomicBool,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Load {
    /// Prepares the shop and begins; returns once the warm-up is over.
    pub async fn start(plan: Plan) -> Result<Self, LoadError> {
        let bases = plan.check()?;
        let measurements = Mutex::new(Measurements::new(Instant::now()));
        let shared = Arc::new(Shared { measurements, stop: AtomicBool::new(false) });
        let (warm, is_warm) = oneshot::channel();
        let (finish, finished) = oneshot::channel();
        let runtime = Builder::new_multi_thread().enable_all().thread_name("load").build().map_err(LoadError::Start)?;
        let thread = thread::Builder::new().name("load".to_owned());
        let for_thread = Arc::clone(&shared);
        // From here on, whoever stops waiting stops the load.
        let load = Self { shared, finished };
        let body = move || {
            let gateways = Arc::new(Gateways::new(&bases, &plan));
            let crowd = match runtime.block_on(Crowd::prepare(&plan, &gateways)) {
                Ok(crowd) => Arc::new(crowd),
                // Whoever waited for it may have gone.
                Err(error) => return drop(warm.send(Err(error))),
            };
            let run = Run::new(plan, gateways, crowd, for_thread, runtime.handle().clone());
            let report = run.carry_out(|| drop(warm.send(Ok(()))));
            let _nobody_waits = finish.send(report);
        };
        // It ends with the plan, or soon after `stop`.
        drop(thread.spawn(body).map_err(LoadError::Start)?);
        is_warm.await.map_err(|_| LoadError::Gone)??;
        Ok(load)
    }

    /// [`Load::start`] and [`Load::join`].
    pub async fn run(plan: Plan) -> Result<Report, LoadError> {
        Self::start(plan).await?.join().await
    }

    /// What was counted so far.
    pub fn so_far(&self) -> Snapshot {
        self.shared.measurements.lock().snapshot()
    }

    /// Waits for the end of the shape and of the last request.
    pub async fn join(mut self) -> Result<Report, LoadError> {
        (&mut self.finished).await.map_err(|_| LoadError::Gone)
    }

    /// Sends nothing more and waits for the last request.
    pub async fn finish(self) -> Result<Report, LoadError> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.join().await
    }
}

/// What every request needs.
struct Run {
    plan: Plan,
    gateways: Arc<Gateways>,
    crowd: Arc<Crowd>,
    shared: Arc<Shared>,
    outstanding: Arc<Semaphore>,
    tasks: TaskTracker,
    runtime: Handle,
}

impl Run {
    fn new(plan: Plan, gateways: Arc<Gateways>, crowd: Arc<Crowd>, shared: Arc<Shared>, runtime: Handle) -> Arc<Self> {
        let outstanding = Arc::new(Semaphore::new(plan.outstanding.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { plan, gateways, crowd, shared, outstanding, tasks: TaskTracker::new(), runtime })
    }

    fn carry_out(self: Arc<Self>, warm: impl FnOnce()) -> Report {
        let run = Arc::clone(&self);
        let signed_in = self.runtime.spawn(async move { run.crowd.stay_signed_in(&run.gateways).await });
        let mut rng = Rng::with_seed(self.plan.seed);
        let Plan { shape, arrivals, warm_up, .. } = &self.plan;
        let begin = Instant::now();
        self.pace(shape.warm_up(*warm_up).schedule(*arrivals, rng.fork()), begin, &mut rng, false);
        let begin = begin + *warm_up;
        *self.shared.measurements.lock() = Measurements::new(begin);
        warm();
        self.pace(shape.schedule(*arrivals, rng.fork()), begin, &mut rng, true);
        self.tasks.close();
        self.runtime.block_on(self.tasks.wait());
        signed_in.abort();
        self.report(begin)
    }

    /// Hands out every request of a schedule when it is due.
    fn pace(self: &Arc<Self>, schedule: Schedule, begin: Instant, rng: &mut Rng, counted: bool) {
        for at in schedule {
            let due = begin + at;
            if !self.sleep_until(due) {
                return;
            }
            self.hand_out(due, rng, counted);
        }
        // The last stage may end without arrivals.
        if counted {
            self.sleep_until(begin + self.plan.shape.duration());
        }
    }

    /// Whether to go on then.
    fn sleep_until(&self, due: Instant) -> bool {
        loop {
            if self.shared.stop.load(Ordering::Relaxed) {
                return false;
            }
            match due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                Some(left) => thread::sleep(left.min(LONGEST_SLEEP)),
                None => return true,
            }
        }
    }

    fn hand_out(self: &Arc<Self>, due: Instant, rng: &mut Rng, counted: bool) {
        let operation = self.plan.mix.pick(rng);
        let mut rng = rng.fork();
        let Ok(place) = Arc::clone(&self.outstanding).try_acquire_owned() else {
            if counted {
                let mut measurements = self.shared.measurements.lock();
                measurements.intended(operation, due.elapsed());
                measurements.ended(dropped(operation, due, "TOO_MANY_OUTSTANDING"));
            }
            return;
        };
        let visit = Visit::plan(operation, &self.crowd, self.plan.addresses, &mut rng);
        if counted {
            self.shared.measurements.lock().intended(visit.operation, due.elapsed());
        }
        let run = Arc::clone(self);
        self.tasks.spawn_on(async move { run.visit(visit, due, counted, place).await }, &self.runtime);
    }

    async fn visit(&self, visit: Visit, due: Instant, counted: bool, place: OwnedSemaphorePermit) {
        let mut retried = 0;
        let sent = loop {
            let from = if retried == 0 { due } else { Instant::now() };
            let send_by = from + self.plan.send_within;
            let sent = self.gateways.send(&visit.outgoing, send_by).await;
            if !self.sends_again(visit.operation, &sent.outcome) || due.elapsed() > RETRY_BOUND {
                break sent;
            }
            retried += 1;
            let told = sent.outcome.as_ref().ok().and_then(Incomer::retry_after);
            tokio::time::sleep(told.unwrap_or(RETRY_PAUSE)).await;
        };
        drop(place);
        let ending = self.judge(&visit, due, sent, retried);
        if counted {
            self.shared.measurements.lock().ended(ending);
        }
    }

    fn sends_again(&self, operation: Operation, outcome: &Result<Incomer, Loss>) -> bool {
        if operation != Operation::Order {
            return false;
        }
        match (self.plan.keyed_retry, outcome) {
            (KeyedRetry::Never, _) | (_, Err(Loss::Late)) | (KeyedRetry::Unanswered, Ok(_)) => false,
            (KeyedRetry::Unanswered | KeyedRetry::Unsettled, Err(_)) => true,
            (KeyedRetry::Unsettled, Ok(answer)) => answer.status == StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn judge(&self, visit: &Visit, due: Instant, sent: Sent, retried: u32) -> Ending {
        let Sent { outcome, at, rerouted } = sent;
        let (status, code, kind) = match outcome {
            Ok(answer) => {
                let code = answer.code();
                let expected = visit.expects(&answer, &code);
                if expected {
                    visit.learn(&self.crowd, &answer);
                }
                let kind = if expected { EndingKind::Expected } else { EndingKind::Failed };
                (answer.status.as_u16(), code, kind)
            }
            Err(Loss::Late) if retried == 0 => return dropped(visit.operation, due, Loss::Late.code()),
            Err(loss) => (0, loss.code().to_owned(), EndingKind::Failed),
        };
        Ending {
            operation: visit.operation,
            status,
            code,
            kind,
            latency: due.elapsed(),
            service: at.map(|at| at.elapsed()),
            rerouted,
            retried,
        }
    }

    fn report(&self, begin: Instant) -> Report {
        let seconds = begin.elapsed().as_secs_f64();
        let mut measurements = self.shared.measurements.lock();
        let [latency, service, lag] = measurements.overall();
        let operations = measurements.operations();
        let Snapshot { intended, expected, failed, dropped, .. } = measurements.snapshot();
        Report {
            gateways: self.plan.gateways.clone(),
            shape: self.plan.shape.to_string(),
            mix: self.plan.mix.to_string(),
            seconds,
            intended,
            expected,
            failed,
            dropped,
            rerouted: operations.iter().map(|of| of.rerouted).sum(),
            retried: operations.iter().map(|of| of.retried).sum(),
            latency,
            service,
            lag,
            operations,
            answers: measurements.answers(),
            timeline: measurements.seconds(),
        }
    }
}

fn dropped(operation: Operation, due: Instant, code: &str) -> Ending {
    Ending {
        operation,
        status: 0,
        code: code.to_owned(),
        kind: EndingKind::Dropped,
        latency: due.elapsed(),
        service: None,
        rerouted: 0,
        retried: 0,
    }
}
