//! Bounds the memory of requests that are being received: model archives are large, and a message is in memory as a
//! whole before its call begins.
//!
//! The first five bytes of a gRPC message say its size. That much room is taken before more of it is read; the sender is
//! held back by HTTP/2 meanwhile. The room is given back when the call is answered. Small requests need none.

use http_body::{Frame, SizeHint};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;
use tonic::codegen::{Bytes, Service, http};
use tonic::server::NamedService;
use tonic::{Code, Status};

use super::gate::later;

/// A smaller message takes no room.
const SMALL: u32 = 256 << 10;
/// The unit in which room is counted.
const UNIT: u32 = 1 << 10;
/// Length of the head of a gRPC message: a flag and the size.
const HEAD: usize = 5;
/// How long a large request waits for room.
const PATIENCE: Duration = Duration::from_secs(20);
/// Large requests that may wait at once.
const WAITING: usize = 64;
/// When a request that found no room may come again.
const AGAIN: Duration = Duration::from_secs(5);
/// A request that takes longer is given up, so that a stalled sender does not hold its room for ever.
const LONGEST: Duration = Duration::from_mins(15);

/// The room that large requests share.
#[derive(Clone)]
pub struct Room {
    bytes: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    total: u32,
    patience: Duration,
}

impl Room {
    /// Room for so many bytes; a single request that is larger takes all of it.
    pub fn new(bytes: usize) -> Self {
        let total = u32::try_from(bytes / UNIT as usize).unwrap_or(u32::MAX).max(1);
        let bytes = Arc::new(Semaphore::new(total as usize));
        Self { bytes, waiting: Arc::new(Semaphore::new(WAITING)), total, patience: PATIENCE }
    }

    /// Takes room for a message of so many bytes. RESOURCE_EXHAUSTED: none became free in time, or too many wait.
    pub async fn take(&self, bytes: u32) -> Result<OwnedSemaphorePermit, Status> {
        let units = bytes.div_ceil(UNIT).clamp(1, self.total);
        let full = || {
            let message =
                format!("{} MiB of requests are under way, all there is room for", self.total >> 10);
            later(Code::ResourceExhausted, message, AGAIN)
        };
        if let Ok(permit) = self.bytes.clone().try_acquire_many_owned(units) {
            return Ok(permit);
        }
        let _waiting = self.waiting.clone().try_acquire_owned().map_err(|_| full())?;
        let waited = tokio::time::timeout(self.patience, self.bytes.clone().acquire_many_owned(units)).await;
        waited.ok().and_then(Result::ok).ok_or_else(full)
    }
}

/// A service whose large requests need room.
#[derive(Clone)]
pub struct Uploads<S> {
    inner: S,
    room: Room,
}

impl<S> Uploads<S> {
    /// Bounds what `inner` receives.
    pub fn new(inner: S, room: Room) -> Self {
        Self { inner, room }
    }
}

impl<S: NamedService> NamedService for Uploads<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Uploads<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let taken = Taken::default();
        let (room, held) = (self.room.clone(), taken.clone());
        let metered = request.map(|body| Body::new(Metered { body, room, held, step: Step::Head }));
        let answer = self.inner.call(metered);
        Box::pin(async move {
            let answer = tokio::time::timeout(LONGEST, answer).await;
            drop(taken);
            answer.unwrap_or_else(|_| {
                let message = format!("the request was not complete within {} s", LONGEST.as_secs());
                Ok(Status::deadline_exceeded(message).into_http())
            })
        })
    }
}

/// The room of one request, held until it is answered.
type Taken = Arc<Mutex<Option<OwnedSemaphorePermit>>>;

type Taking = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, Status>> + Send>>;

enum Step {
    /// The message's size is not known yet.
    Head,
    /// Waits for room, with what was read.
    Taking(Bytes, Taking),
    Passing,
}

struct Metered {
    body: Body,
    room: Room,
    held: Taken,
    step: Step,
}

impl Metered {
    /// What follows from the first bytes of the message.
    fn begin(&self, first: Bytes) -> Result<Step, Bytes> {
        let size = first.get(1..HEAD).and_then(|size| size.try_into().ok()).map(u32::from_be_bytes);
        match size {
            Some(size) if size > SMALL => {
                let room = self.room.clone();
                Ok(Step::Taking(first, Box::pin(async move { room.take(size).await })))
            }
            // A head that is cut in two is no client of ours; the message stays small or fails to be decoded in time.
            _ => Err(first),
        }
    }
}

impl http_body::Body for Metered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            match &mut self.step {
                Step::Passing => return Pin::new(&mut self.body).poll_frame(context),
                Step::Taking(first, taking) => {
                    let taken = ready!(taking.as_mut().poll(context));
                    let first = std::mem::take(first);
                    self.step = Step::Passing;
                    let permit = match taken {
                        Ok(permit) => permit,
                        Err(status) => return Poll::Ready(Some(Err(status))),
                    };
                    *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(permit);
                    return Poll::Ready(Some(Ok(Frame::data(first))));
                }
                Step::Head => {
                    let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                        Some(Ok(frame)) => frame,
                        other => return Poll::Ready(other),
                    };
                    let first = match frame.into_data() {
                        Ok(first) => first,
                        Err(frame) => return Poll::Ready(Some(Ok(frame))),
                    };
                    if first.is_empty() {
                        continue;
                    }
                    match self.begin(first) {
                        Ok(step) => self.step = step,
                        Err(first) => {
                            self.step = Step::Passing;
                            return Poll::Ready(Some(Ok(Frame::data(first))));
                        }
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        !matches!(self.step, Step::Taking(..)) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body::Body as _;
    use tonic_types::StatusExt as _;

    fn room(bytes: usize) -> Room {
        Room { patience: Duration::from_millis(20), ..Room::new(bytes) }
    }

    #[tokio::test]
    async fn room_is_shared_and_given_back() {
        let room = room(1 << 20);
        let first = room.take(700 << 10).await.unwrap();
        let refused = room.take(700 << 10).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(refused.get_details_retry_info().unwrap().retry_delay, Some(AGAIN));
        let _small = room.take(300 << 10).await.unwrap();
        drop(first);
        drop(room.take(700 << 10).await.unwrap());
    }

    #[tokio::test]
    async fn a_request_larger_than_all_room_takes_all_of_it() {
        let room = room(1 << 20);
        let all = room.take(u32::MAX).await.unwrap();
        assert!(room.take(1).await.is_err());
        drop(all);
        assert!(room.take(1).await.is_ok());
    }

    #[tokio::test]
    async fn only_so_many_wait() {
        let room = room(1 << 20);
        let _all = room.take(u32::MAX).await.unwrap();
        let _queue = room.waiting.clone().acquire_many_owned(WAITING as u32).await.unwrap();
        let asked = std::time::Instant::now();
        let patient = Room { patience: Duration::from_mins(1), ..room };
        assert!(patient.take(1).await.is_err());
        assert!(asked.elapsed() < Duration::from_secs(30), "did not wait");
    }

    #[tokio::test]
    async fn a_large_message_takes_room_before_it_is_read_on() {
        async fn frame(metered: &mut Metered) -> Option<Result<Bytes, Status>> {
            let next = std::future::poll_fn(|context| Pin::new(&mut *metered).poll_frame(context)).await?;
            Some(next.map(|frame| frame.into_data().unwrap_or_default()))
        }
        let room = room(1 << 20);
        let metered = |size: u32| {
            let head = [&[0][..], &size.to_be_bytes()].concat();
            let held = Taken::default();
            let body = Body::new(Whole(Some(head.into())));
            (Metered { body, room: room.clone(), held: held.clone(), step: Step::Head }, held)
        };
        let (mut small, held) = metered(SMALL);
        assert_eq!(frame(&mut small).await.unwrap().unwrap().len(), HEAD);
        assert!(held.lock().unwrap().is_none());
        let (mut large, held) = metered(1 << 20);
        assert_eq!(frame(&mut large).await.unwrap().unwrap().len(), HEAD);
        assert!(held.lock().unwrap().is_some());
        let (mut refused, _) = metered(1 << 20);
        assert_eq!(frame(&mut refused).await.unwrap().unwrap_err().code(), Code::ResourceExhausted);
    }

    /// A body of one piece.
    struct Whole(Option<Bytes>);

    impl http_body::Body for Whole {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
        }
    }
}
