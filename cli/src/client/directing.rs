//! Listen and decide, for programs that decide a search.

use super::{ANSWER, Client, Service};
use crate::errors::Error;
use std::time::Duration;
use toprung_proto::v1;

impl Client {
    /// What has happened after an event; waits for something if the request says so.
    pub(crate) async fn listen(&self, request: v1::ListenRequest) -> Result<v1::ListenResponse, Error> {
        let deadline = ANSWER + Duration::from_millis(request.max_wait_ms.into());
        self.call_again(deadline, |mut service: Service| async move { service.listen(request).await }).await
    }

    /// Decides. Only with a `request_id` of its own, so that it may come twice.
    pub(crate) async fn decide(&self, request: v1::DecideRequest) -> Result<v1::DecideResponse, Error> {
        let decide = |mut service: Service| {
            let request = request.clone();
            async move { service.decide(request).await }
        };
        self.call_again(ANSWER, decide).await
    }
}
