//! A model around a method: the method decides which trials train how long, the model where in the space they are.
//!
//! Every trial that the method creates with drawn hyperparameters gets those that the model suggests, if it has any and they
//! satisfy the constraints. All else passes through. So TPE around random search is TPE as published, and around Hyperband it is BOHB.
//!
//! The levels at which the model compares trials are the rungs of the method. A method without rungs has those of one
//! bracket with divisor [`DIVISOR`], so that the curves of unfinished trials already count.
//!
//! A replay takes what was recorded instead of asking the model again ([`Context::recorded`]): the same history follows
//! from it, however models change. The model is told ([`Model::recall`]), so that after the replay it goes on as if it had
//! been asked.

use super::Running;
use crate::divisor::Divisor;
use crate::history::{History, Progress};
use crate::method::{Action, Context, Event, Method, RungView};
use crate::models::{Model, ModelConfig, View};
use crate::space::encoding::Encoding;
use serde::{Deserialize, Serialize};

/// Levels of a method without rungs lie apart by this factor.
const DIVISOR: f64 = 3.0;
/// Such a method has at most so many.
const MAX_LEVELS: u32 = 5;

/// The method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ModelBased {
    inner: Box<Running>,
    model: Model,
    history: History,
    /// Made from the space when it is first needed.
    #[serde(skip)]
    encoding: Derived,
}

/// What is derived from the space alone, so that it is neither stored nor compared.
#[derive(Clone, Debug, Default)]
struct Derived(Option<Encoding>);

impl PartialEq for Derived {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl ModelBased {
    pub(crate) fn new(inner: Running, model: &ModelConfig) -> Self {
        let history = History::new(levels(inner.method()));
        Self { inner: Box::new(inner), model: Model::new(model), history, encoding: Derived::default() }
    }

    /// Gives new trials what the model suggests, and notes what the method told its trials.
    fn follow(&mut self, context: Context<'_>, actions: &mut [Action]) {
        let encoding = self.encoding.0.get_or_insert_with(|| Encoding::new(context.space));
        for action in actions {
            match action {
                Action::Create(create) => {
                    let recorded = context.recorded.and_then(|recorded| recorded.get(&create.trial));
                    let view = View {
                        space: context.space,
                        encoding,
                        history: &self.history,
                        seed: context.seed,
                        trial: create.trial,
                        drawn: &create.hparams,
                    };
                    let suggested = match recorded {
                        Some(recorded) => {
                            self.model.recall(view);
                            Some(recorded.clone())
                        }
                        None if create.clone_from.is_some() => None,
                        None => self.model.suggest(view).filter(|suggested| context.space.allows(suggested)),
                    };
                    if let Some(suggested) = suggested {
                        create.hparams = suggested;
                    }
                    self.history.begin(encoding.encode(&create.hparams));
                }
                Action::TrainTo { trial, .. } => self.history.progress(*trial, Progress::Running),
                Action::Pause { trial, .. } => self.history.progress(*trial, Progress::Waiting),
                Action::Stop { trial, .. } => self.history.progress(*trial, Progress::Ended),
                Action::Shutdown { .. } => {}
            }
        }
    }
}

/// The lengths at which trials are compared.
fn levels(method: &dyn Method) -> Vec<u64> {
    let mut lengths: Vec<u64> = method.rungs().iter().map(|rung| rung.length).collect();
    if lengths.is_empty()
        && let Ok(divisor) = Divisor::new(DIVISOR)
    {
        let rungs = divisor.rungs_within(method.max_length()).min(MAX_LEVELS);
        lengths = divisor.rung_lengths(rungs, method.max_length());
    }
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}

impl Method for ModelBased {
    fn handle(&mut self, event: &Event, context: Context<'_>, actions: &mut Vec<Action>) {
        match *event {
            Event::Capacity(_) | Event::Directed(_) | Event::CannotPause { .. } => {}
            Event::Validated { trial, length, metric } => self.history.validated(trial, length, metric),
            Event::Exited { trial, reason } => self.history.exited(trial, reason),
        }
        let before = actions.len();
        self.inner.method_mut().handle(event, context, actions);
        self.follow(context, &mut actions[before..]);
    }

    fn progress(&self) -> f64 {
        self.inner.method().progress()
    }

    fn rungs(&self) -> Vec<RungView> {
        self.inner.method().rungs()
    }

    fn max_length(&self) -> u64 {
        self.inner.method().max_length()
    }

    fn notes(&self) -> Vec<String> {
        self.inner.method().notes()
    }
}
