//! Ask and tell, for programs that run trials themselves.

use super::{ANSWER, Client, Service};
use crate::errors::Error;
use std::time::Duration;
use toprung_proto::v1;

impl Client {
    /// Asks for a trial.
    pub(crate) async fn ask(&self, request: v1::AskRequest) -> Result<v1::ask_response::Outcome, Error> {
        let deadline = ANSWER + Duration::from_millis(request.max_wait_ms.into());
        let ask = |mut service: Service| {
            let request = request.clone();
            async move { service.ask(request).await }
        };
        self.present(self.call_again(deadline, ask).await?.outcome)
    }

    /// Tells what came of a trial.
    pub(crate) async fn tell(&self, request: v1::TellRequest) -> Result<v1::TellResponse, Error> {
        let tell = |mut service: Service| {
            let request = request.clone();
            async move { service.tell(request).await }
        };
        self.call_again(ANSWER, tell).await
    }
}
