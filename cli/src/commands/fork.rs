//! `toprung fork` and `toprung continue`

use super::run::{Manner, check, request_id, submit_and_follow};
use crate::args::{Fork, Global};
use crate::connect::{self, Need};
use crate::errors::Error;
use crate::exit::Exit;
use crate::spinner;
use toprung_proto::v1;

/// A new experiment from the file and the model of an earlier one, and follows it. `continues`: it starts from that
/// one's newest checkpoint.
pub(super) async fn run(global: &Global, args: Fork, continues: bool) -> Result<Exit, Error> {
    check(global, args.slots)?;
    if global.server.is_none() && !global.data_dir.exists() {
        return Err(Error::NoExperiments(global.data_dir.clone()));
    }
    let need = Need::Train { slots: args.slots };
    let session = spinner::waiting("starting", connect::open(global, need)).await?;
    let mut overrides = args.sets;
    // As a JSON string, so that a name like `3` or `a: b` stays a text.
    overrides.extend(args.name.map(|name| format!("name={}", serde_json::Value::from(name))));
    let request = v1::CreateExperimentRequest {
        source_experiment: args.id,
        overrides,
        continue_source: continues,
        request_id: request_id(),
        ..Default::default()
    };
    let manner = Manner { detach: args.detach, show: args.show, slots_given: args.slots.is_some() };
    submit_and_follow(global, &manner, session, request, |error| error).await
}
