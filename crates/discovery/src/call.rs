//! One call: attempts, and whether there is another one.

use std::{mem, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::body::Incoming;
use shop_proto::access::Method;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tonic::{Status, body::Body as TonicBody};

use crate::{
    attempt::Attempt,
    connection::Unanswered,
    member::{Cause, Member},
    members::Tried,
    pool::Shared,
    request::{self, GRPC_TIMEOUT, RequestBody},
    response::{ReadAhead, ResponseBody, unavailable},
    verdict::{Verdict, judge},
};

/// Attempts of one call. All but the first and one retry are after attempts that no server took up.
const MAX_ATTEMPTS: usize = 4;

/// What the server is told to be less than what its caller has, at most, and as a part of it: its own answer that time is
/// up then arrives, and shows that it lives. Else one slow query would look like an instance that does not answer.
const ANSWER_MARGIN: Duration = Duration::from_millis(50);
const ANSWER_PART: u32 = 10;

/// A connection may close between its choice and the sending; the next one is new.
const SENDS_PER_ATTEMPT: usize = 2;

pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    pub(crate) method: Option<&'static Method>,
    /// When the caller stops waiting, if anyone said so.
    pub(crate) deadline: Option<Instant>,
    /// When the response must have begun; of a unary call, ended.
    pub(crate) head_deadline: Instant,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// How an attempt ended.
enum Outcome {
    /// With something for the caller.
    Answer(Box<Answer>),
    /// Nothing left this process.
    Unsent(Box<Request<RequestBody>>),
    /// The server did not take it up: it leaves.
    Refused(Failure),
    /// It went to a server that is another one, and did not act on it.
    Misdirected(Failure),
    /// Whether the server acted is not known.
    Uncertain(Failure),
}

/// What the caller gets if there is no further attempt.
enum Failure {
    Answer(Box<Answer>),
    Status(Status),
}

struct Answer {
    head: http::response::Parts,
    body: AnswerBody,
    attempt: Attempt,
}

enum AnswerBody {
    Read(ReadAhead),
    Unread(Incoming),
}

impl Call {
    pub(crate) async fn run(self, request: Request<TonicBody>) -> Result<Response<ResponseBody>, Status> {
        let mut request = self.prepare(request).await?;
        self.shared.budget.deposit();
        let mut tried = Tried::default();
        let mut retried = false;
        let mut last = None;
        let mut next = self.shared.members.fresh(&tried).or_else(|| self.shared.members.any(&tried));
        for _ in 0..MAX_ATTEMPTS {
            let Some(member) = next else { break };
            tried.add(Arc::clone(&member));
            let copy = request::again(&request);
            let (failure, repeatable) = match self.attempt(member, request).await {
                Outcome::Answer(answer) => return Ok(self.deliver(answer)),
                Outcome::Unsent(unsent) => {
                    // It goes on without touching the budget, but only to instances that are in: when none is, the answer
                    // comes fast.
                    request = *unsent;
                    next = self.shared.members.fresh(&tried);
                    continue;
                }
                // Nobody worked on it, so that it costs what a first attempt does (gRFC A6: transparent retries).
                Outcome::Refused(failure) => {
                    self.shared.upstream.metrics.repeated();
                    (failure, true)
                }
                Outcome::Misdirected(failure) => (failure, !mem::replace(&mut retried, true) && self.afford_retry()),
                Outcome::Uncertain(failure) => {
                    let again = !retried && self.method.is_some_and(|method| method.idempotency.retryable());
                    retried = true;
                    (failure, again && self.afford_retry())
                }
            };
            last = Some(failure);
            match copy {
                Some(copy) if repeatable => request = copy,
                _ => break,
            }
            next = self.shared.members.fresh(&tried).or_else(|| self.shared.members.any(&tried));
        }
        last.map_or_else(|| Err(unavailable()), |failure| self.give_up(failure))
    }

    async fn prepare(&self, request: Request<TonicBody>) -> Result<Request<RequestBody>, Status> {
        let (head, body) = request.into_parts();
        let body = match self.method {
            Some(method) if !method.client_streaming => RequestBody::buffered(body).await?,
            _ => RequestBody::streaming(body),
        };
        Ok(Request::from_parts(head, body))
    }

    fn is_unary(&self) -> bool {
        self.method.is_some_and(|method| !method.client_streaming && !method.server_streaming)
    }

    fn afford_retry(&self) -> bool {
        let affordable = self.shared.budget.withdraw();
        if affordable {
            self.shared.upstream.metrics.retried();
        } else {
            self.shared.upstream.metrics.retry_unaffordable();
        }
        affordable
    }

    async fn attempt(&self, member: Arc<Member>, mut request: Request<RequestBody>) -> Outcome {
        self.shared.upstream.route(&mut request, &member.instance.authority);
        let mut attempt = Attempt::new(member);
        for _ in 0..SENDS_PER_ATTEMPT {
            let Ok(mut connection) = attempt.connection().await else { break };
            self.state_timeout(&mut request);
            attempt.await_answer(self.head_deadline);
            match connection.send(request).await {
                Ok(response) => return self.judged(response, attempt).await,
                Err(Unanswered::Unsent(unsent)) => {
                    attempt.settled();
                    request = *unsent;
                }
                Err(unanswered) => return lost(unanswered, attempt),
            }
        }
        Outcome::Unsent(Box::new(request))
    }

    /// What is left goes with the request, less what the answer takes. A stream nobody set an end to gets none.
    fn state_timeout(&self, request: &mut Request<RequestBody>) {
        let end = if self.is_unary() { Some(self.head_deadline) } else { self.deadline };
        if let Some(end) = end {
            let left = end.saturating_duration_since(Instant::now());
            let told = left.saturating_sub(ANSWER_MARGIN.min(left / ANSWER_PART));
            request.headers_mut().insert(GRPC_TIMEOUT, request::format_timeout(told));
        }
    }

    async fn judged(&self, response: Response<Incoming>, mut attempt: Attempt) -> Outcome {
        let (head, incoming) = response.into_parts();
        let mut verdict = judge(head.status, &head.headers);
        let body = if self.is_unary() {
            let read = match ReadAhead::of(incoming).await {
                Ok(read) => read,
                Err(error) => return lost(Unanswered::within_response(error), attempt),
            };
            if let Some(trailers) = read.trailers() {
                verdict = judge(head.status, trailers);
            }
            AnswerBody::Read(read)
        } else {
            AnswerBody::Unread(incoming)
        };
        match verdict {
            Verdict::Final => attempt.answered(),
            Verdict::WrongInstance => attempt.failed(Cause::WrongInstance),
            Verdict::Unavailable => attempt.settled(),
        }
        let answer = Box::new(Answer { head, body, attempt });
        match verdict {
            Verdict::Final => Outcome::Answer(answer),
            Verdict::WrongInstance => Outcome::Misdirected(Failure::Answer(answer)),
            Verdict::Unavailable => Outcome::Uncertain(Failure::Answer(answer)),
        }
    }

    fn deliver(self, answer: Box<Answer>) -> Response<ResponseBody> {
        let Answer { head, body, attempt } = *answer;
        let body = match body {
            AnswerBody::Read(read) => read.into_body(attempt, self.head_deadline, self.permit),
            AnswerBody::Unread(incoming) => ResponseBody::streaming(incoming, attempt, self.deadline, self.permit),
        };
        Response::from_parts(head, body)
    }

    fn give_up(self, failure: Failure) -> Result<Response<ResponseBody>, Status> {
        match failure {
            Failure::Answer(answer) => Ok(self.deliver(answer)),
            Failure::Status(status) => Err(status),
        }
    }
}

/// A request that was sent and got no answer.
fn lost(unanswered: Unanswered, mut attempt: Attempt) -> Outcome {
    match &unanswered {
        Unanswered::Broken(_) => attempt.failed(Cause::Broken),
        Unanswered::Unsent(_) | Unanswered::Refused | Unanswered::Reset(_) => attempt.settled(),
    }
    let refused = matches!(unanswered, Unanswered::Refused);
    let failure = Failure::Status(unanswered.into());
    if refused { Outcome::Refused(failure) } else { Outcome::Uncertain(failure) }
}
