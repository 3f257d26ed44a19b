//! Bodies that keep time: a request's that must arrive, and an answer's whose reader must not fall asleep.

use super::patience::{Meter, Pace, TooSlow};
use super::pulse::Pulse;
use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request's body; its error is [`TooSlow`] where the client falls below the pace.
pub struct PatientBody {
    body: Incoming,
    meter: Meter,
}

impl PatientBody {
    /// Around what the connection brings.
    pub fn new(body: Incoming, pace: Pace) -> Self {
        Self { body, meter: Meter::new(pace) }
    }
}

impl HttpBody for PatientBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                if let Some(Ok(frame)) = &frame {
                    this.meter.moved(frame.data_ref().map_or(0, Bytes::len));
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => this.meter.poll_too_slow(cx).map(|()| Some(Err(TooSlow.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body, of which the connection's pulse is told whose turn it is.
pub struct AnswerBody {
    body: Body,
    pulse: Arc<Pulse>,
    ours: bool,
}

impl AnswerBody {
    /// Around an answer; the request was counted by [`Pulse::began`].
    pub fn new(body: Body, pulse: Arc<Pulse>) -> Self {
        Self { body, pulse, ours: true }
    }

    fn turn(&mut self, ours: bool) {
        if self.ours != ours {
            self.ours = ours;
            self.pulse.turn(ours);
        }
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        // Pending: the client has taken what there was, and waits for us.
        self.turn(polled.is_pending());
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            // More is asked for only when what was given before is on its way.
            self.pulse.gave(frame.data_ref().map_or(0, Bytes::len));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.turn(false);
        self.pulse.ended();
    }
}
