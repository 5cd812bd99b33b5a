//! The span of a request: a trace id always, and a span of `tracing` only where it is recorded. Most are not, and to make a
//! span that nobody will see costs more than all else that is done to observe a request.

use std::{
    future::Future,
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use opentelemetry::{Context, ContextGuard};
use pin_project_lite::pin_project;
use tracing::{Span, span::EnteredSpan};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{INSTALLED, traces::Trace};
use crate::propagation::Caller;

/// What a request's work is done in, so that its log lines, its calls to others and the tasks it starts have its trace.
#[derive(Debug, Clone)]
pub(crate) enum RequestSpan {
    /// It is exported when the last clone is gone.
    Recorded(Span),
    /// The trace passes through.
    Unrecorded(Context),
}

impl RequestSpan {
    /// The span of a request that begins, in its caller's trace if there is one. `make` is asked only if it is recorded.
    pub(crate) fn begin(caller: Option<Caller>, make: impl FnOnce() -> Span) -> Self {
        // Where no telemetry is installed the process may have a subscriber of its own.
        let Some(telemetry) = INSTALLED.get() else { return Self::Recorded(make()) };
        match telemetry.traces.begin(caller) {
            Trace::Unrecorded(passing) => Self::Unrecorded(passing),
            Trace::Recorded(parent) => {
                let span = make();
                // It fails only where the process has a subscriber of its own.
                let _ = span.set_parent(parent);
                Self::Recorded(span)
            }
        }
    }

    /// The span of a task that is started now: within that of the request at hand, if there is one.
    pub(crate) fn of_task(name: &'static str) -> Self {
        if Span::current().is_none() {
            Self::Unrecorded(Context::current())
        } else {
            Self::Recorded(tracing::info_span!("background task", otel.name = name))
        }
    }

    /// The span to record in, if it is recorded.
    pub(crate) fn recorded(&self) -> Option<&Span> {
        match self {
            Self::Recorded(span) => Some(span),
            Self::Unrecorded(_) => None,
        }
    }

    /// Until the guard is dropped, this thread works in the span.
    pub(crate) fn enter(&self) -> Entered {
        match self {
            Self::Recorded(span) => Entered { _span: Some(span.clone().entered()), _context: None },
            Self::Unrecorded(context) => Entered { _span: None, _context: Some(context.clone().attach()) },
        }
    }

    /// The future, polled and dropped in the span.
    pub(crate) fn around<F: Future>(&self, future: F) -> InSpan<F> {
        InSpan { future: Some(future), span: self.clone() }
    }
}

/// A guard of [`RequestSpan::enter`].
pub(crate) struct Entered {
    _span: Option<EnteredSpan>,
    _context: Option<ContextGuard>,
}

pin_project! {
    /// The future of [`RequestSpan::around`].
    pub(crate) struct InSpan<F> {
        // None once it is dropped, which is done in the span.
        #[pin]
        future: Option<F>,
        span: RequestSpan,
    }

    impl<F> PinnedDrop for InSpan<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = this.span.enter();
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for InSpan<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.span.enter();
        // It is there until this is dropped.
        this.future.as_pin_mut().map_or(Poll::Pending, |future| future.poll(context))
    }
}
