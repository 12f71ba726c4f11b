//! Whether a decision of a program can be carried out: reads only. What is wrong with it is said all at once, and then nothing
//! of it happens; what came too late for something that the program cannot know yet is left out, and said.

use std::collections::BTreeSet;
use toprung_proto::v1::{self, wish::Kind};
use toprung_searchers::wish::MAX_WAITING;
use toprung_searchers::{TrialId, Wish, from_json_text, to_json_text};

use super::machine::Machine;
use super::program::{MOST_UNSEEN, Program};
use super::trial::{Phase, Trial};
use super::view::state_word;

/// Wishes in one decision.
pub const MOST_WISHES: usize = 1_000;
/// Characters of a reason.
const LONGEST_REASON: usize = 200;
/// Bytes of one trial's hyperparameters.
const MOST_HPARAMS: usize = 16 << 10;
/// Bytes of what a program saves.
pub const MOST_STATE: usize = 256 << 10;
/// Characters of a request's id, and of the program's name.
const LONGEST_NAME: usize = 128;
/// Mistakes that are told at once.
const MOST_MISTAKES: usize = 10;

/// A decision that can be taken.
#[derive(Clone, Debug, PartialEq)]
pub enum Checked {
    /// It was taken before, and was answered so.
    Again(v1::DecideResponse),
    /// To be taken in.
    New(v1::SearchDirected),
}

/// Why a decision is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedDecision {
    /// Another searcher decides.
    #[error("{0}")]
    NotCustom(String),
    /// Something in it cannot be.
    #[error("{0}")]
    Wrong(String),
    /// It does not follow the newest decision, or the experiment ends.
    #[error("{0}")]
    Conflict(String),
    /// Too much waits already.
    #[error("{0}")]
    TooMuch(String),
}

use RefusedDecision::{Conflict, NotCustom, TooMuch, Wrong};

/// What becomes of one wish.
enum Verdict {
    Wanted(v1::Wish),
    TooLate(String),
}

impl Machine {
    /// Whether a decision can be taken, and what is then to be journalled.
    ///
    /// # Errors
    /// All that speaks against it; nothing of it is taken then.
    pub fn check_decision(&self, request: &v1::DecideRequest) -> Result<Checked, RefusedDecision> {
        let Some(program) = self.fold.program.as_deref() else {
            return Err(NotCustom(format!(
                "the searcher of experiment {} is `{}`: only one whose file says `searcher: {{name: custom}}` is decided by a \
                 program",
                self.spec.id,
                self.spec.config.searcher.method.name()
            )));
        };
        check_form(request)?;
        if let Some(answer) = program.answer(&request.request_id) {
            return Ok(Checked::Again(v1::DecideResponse { again: true, ..answer.clone() }));
        }
        self.check_place(request, program)?;
        let mut looked =
            Looked { machine: self, program, seen: request.seen, creates: 0, mistakes: Vec::new() };
        let (mut wishes, mut ignored) = (Vec::new(), Vec::new());
        for (index, wish) in request.wishes.iter().enumerate() {
            match looked.at(index, wish, request.wishes.len()) {
                Some(Verdict::Wanted(wish)) => wishes.push(wish),
                Some(Verdict::TooLate(reason)) => {
                    ignored.push(v1::IgnoredWish { index: index as u32, reason });
                }
                None => {}
            }
        }
        if !looked.mistakes.is_empty() {
            return Err(Wrong(together(&looked.mistakes)));
        }
        let unseen = program.unseen_after(request.seen);
        if unseen > MOST_UNSEEN && !wishes.is_empty() {
            return Err(TooMuch(format!(
                "{unseen} events wait to be seen, at most {MOST_UNSEEN} may while something is wanted: listen, and say in \
                 `seen` how far they were handled"
            )));
        }
        check_room(self, program, looked.creates)?;
        Ok(Checked::New(v1::SearchDirected {
            request_id: request.request_id.clone(),
            seen: request.seen,
            wishes,
            state: request.state.clone(),
            progress: request.progress,
            client: request.client.clone(),
            ignored,
        }))
    }

    /// Whether it follows the newest decision, and what it has seen is there.
    fn check_place(&self, request: &v1::DecideRequest, program: &Program) -> Result<(), RefusedDecision> {
        if self.fold.state.is_end() || self.fold.end.is_some() {
            return Err(Conflict(format!(
                "experiment {} is {}: {}",
                self.spec.id,
                state_word(self.fold.state),
                self.fold.reason
            )));
        }
        let (after, decided) = (request.after, program.decided);
        if let Some(after) = after.filter(|after| *after != decided) {
            return Err(Conflict(format!(
                "this decision follows {after} others, but {decided} were taken: another program decides this search, too, \
                 or this one has forgotten some of its own. Listen again with the state, and go on from there"
            )));
        }
        if request.seen > program.newest {
            return Err(Wrong(format!(
                "`seen` is {}, but the newest event is {}: say the number of the last event that was handled",
                request.seen, program.newest
            )));
        }
        Ok(())
    }
}

fn check_room(machine: &Machine, program: &Program, creates: u32) -> Result<(), RefusedDecision> {
    let waiting = program.wanted.saturating_sub(machine.fold.trials.len() as u32);
    let most = MAX_WAITING as u32;
    if waiting.saturating_add(creates) > most {
        return Err(TooMuch(format!(
            "{waiting} wanted trials wait for room already, and {creates} more are wanted: at most {most} may wait. Create \
             trials as others end"
        )));
    }
    let made = u64::from(program.wanted) + u64::from(creates);
    if made > toprung_searchers::config::MAX_TRIALS {
        return Err(TooMuch(format!(
            "{made} trials are more than a search may have ({})",
            toprung_searchers::config::MAX_TRIALS
        )));
    }
    Ok(())
}

/// What can be seen without the experiment: sizes above all.
fn check_form(request: &v1::DecideRequest) -> Result<(), RefusedDecision> {
    let printable = |text: &str| text.chars().count() <= LONGEST_NAME && !text.chars().any(char::is_control);
    if request.request_id.is_empty() || !printable(&request.request_id) {
        return Err(Wrong(format!(
            "`request_id` has 1 to {LONGEST_NAME} printable characters: a new one for each decision, the same when it is \
             sent again"
        )));
    }
    if !printable(&request.client) {
        return Err(Wrong(format!(
            "`client` is the program's name, at most {LONGEST_NAME} printable characters"
        )));
    }
    let (wishes, state) = (request.wishes.len(), request.state.as_ref().map_or(0, String::len));
    if wishes > MOST_WISHES {
        return Err(Wrong(format!("{wishes} wishes in one decision, at most {MOST_WISHES} are allowed")));
    }
    if state > MOST_STATE {
        return Err(Wrong(format!(
            "`state` has {state} bytes, at most {MOST_STATE} are kept: save what cannot be derived from the trials"
        )));
    }
    if let Some(progress) = request.progress.filter(|progress| !(0.0..=1.0).contains(progress)) {
        return Err(Wrong(format!("`progress` is {progress}, allowed is 0 to 1")));
    }
    Ok(())
}

fn together(mistakes: &[String]) -> String {
    let shown = mistakes.iter().take(MOST_MISTAKES).cloned().collect::<Vec<_>>().join("; ");
    match mistakes.len().saturating_sub(MOST_MISTAKES) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

/// Looks at the wishes of a decision, one after another.
struct Looked<'a> {
    machine: &'a Machine,
    program: &'a Program,
    seen: u64,
    creates: u32,
    mistakes: Vec<String>,
}

/// Where a trial stands that a wish names.
enum Named<'a> {
    ToBegin,
    Begun(&'a Trial),
    /// It has ended, which the program cannot know yet.
    Late,
}

impl<'a> Looked<'a> {
    fn at(&mut self, index: usize, wish: &v1::Wish, of: usize) -> Option<Verdict> {
        let word = match &wish.kind {
            Some(Kind::Create(_)) => "create",
            Some(Kind::Train(_)) => "train",
            Some(Kind::Pause(_)) => "pause",
            Some(Kind::Stop(_)) => "stop",
            Some(Kind::Finish(_)) => "finish",
            None => "empty",
        };
        let letters = wish.reason.chars().count();
        let verdict = if letters > LONGEST_REASON {
            Err(format!("its reason has {letters} characters, at most {LONGEST_REASON} are allowed"))
        } else {
            self.judge(index, wish, of)
        };
        match verdict {
            Ok(verdict) => Some(verdict),
            Err(mistake) => {
                self.mistakes.push(format!("wish {} of {of} ({word}): {mistake}", index + 1));
                None
            }
        }
    }

    fn judge(&mut self, index: usize, wish: &v1::Wish, of: usize) -> Result<Verdict, String> {
        let wanted = || Ok(Verdict::Wanted(wish.clone()));
        match &wish.kind {
            None => Err("it is one of create, train, pause, stop and finish".to_owned()),
            Some(Kind::Create(create)) => self.create(create, wish),
            Some(Kind::Train(train)) => self.train(*train, wish),
            Some(Kind::Pause(trial)) => match self.named(*trial)? {
                Named::ToBegin => Err(format!("trial {trial} has not begun: there is nothing to pause")),
                Named::Begun(_) => wanted(),
                Named::Late => Ok(Verdict::TooLate(format!("trial {trial} has ended"))),
            },
            // Whatever became of it, it is stopped then.
            Some(Kind::Stop(trial)) => match self.named(*trial) {
                Ok(Named::ToBegin | Named::Begun(_)) => wanted(),
                Ok(Named::Late) => Ok(Verdict::TooLate(format!("trial {trial} has ended"))),
                Err(_) if self.machine.trial(*trial).is_some() => {
                    Ok(Verdict::TooLate(format!("trial {trial} has ended")))
                }
                Err(mistake) => Err(mistake),
            },
            Some(Kind::Finish(true)) if index + 1 == of => wanted(),
            Some(Kind::Finish(true)) => Err("nothing can follow it".to_owned()),
            Some(Kind::Finish(false)) => Err("`finish` is true, or is left out".to_owned()),
        }
    }

    fn named(&self, trial: u32) -> Result<Named<'a>, String> {
        let wanted = self.program.wanted + self.creates;
        match self.machine.trial(trial) {
            Some(known) if !matches!(known.phase, Phase::Ended(_)) => Ok(Named::Begun(known)),
            Some(_) if self.program.is_late(trial, self.seen) => Ok(Named::Late),
            Some(_) => Err(format!("trial {trial} has ended, as an event up to {} said", self.seen)),
            None if (1..=wanted).contains(&trial) => Ok(Named::ToBegin),
            None => Err(format!("there is no trial {trial}: {wanted} were wanted so far")),
        }
    }

    fn train(&self, train: v1::WishedLength, wish: &v1::Wish) -> Result<Verdict, String> {
        let v1::WishedLength { trial, length } = train;
        self.check_length(length)?;
        let known = match self.named(trial)? {
            Named::ToBegin => return Ok(Verdict::Wanted(wish.clone())),
            Named::Late => return Ok(Verdict::TooLate(format!("trial {trial} has ended"))),
            Named::Begun(known) => known,
        };
        let trained = self.program.length(trial);
        let trains = matches!(known.phase, Phase::Pending { .. } | Phase::Starting | Phase::Running);
        if trained >= length {
            return Ok(Verdict::TooLate(format!("trial {trial} has trained to {trained} already")));
        }
        if trains && length < known.train_until {
            return Err(format!(
                "trial {trial} trains to {} already: ask for more than that, or pause it or stop it",
                known.train_until
            ));
        }
        Ok(Verdict::Wanted(wish.clone()))
    }

    fn check_length(&self, length: u64) -> Result<(), String> {
        let most = self.machine.spec.config.searcher.max_length;
        let unit = &self.machine.spec.config.searcher.time_metric;
        if (1..=most).contains(&length) {
            Ok(())
        } else {
            Err(format!("its length is {length}, allowed is 1 to {most} {unit} (the searcher's max_length)"))
        }
    }

    fn create(&mut self, create: &v1::WishedTrial, wish: &v1::Wish) -> Result<Verdict, String> {
        let most = self.machine.spec.config.searcher.max_length;
        let length = if create.length == 0 { most } else { create.length };
        self.check_length(length)?;
        let parent = self.parent(create.clone_from, length)?;
        let given = match (create.hparams_json.as_str(), parent) {
            ("", Some(parent)) => &*parent.hparams_json,
            (given, _) => given,
        };
        let hparams_json = self.hparams(given)?;
        self.creates += 1;
        let create = v1::WishedTrial { hparams_json, length, ..create.clone() };
        Ok(Verdict::Wanted(v1::Wish { kind: Some(Kind::Create(create)), ..wish.clone() }))
    }

    /// The trial to begin from; `None`: none is named, or it has ended, which its child will say.
    fn parent(&self, id: u32, length: u64) -> Result<Option<&'a Trial>, String> {
        if id == 0 {
            return Ok(None);
        }
        let parent = match self.named(id).map_err(|mistake| {
            format!("{mistake}; only a trial that has not ended can be cloned: keep a parent paused for it")
        })? {
            Named::ToBegin => {
                return Err(format!("trial {id} has not begun: there is no checkpoint to begin from"));
            }
            Named::Late => return Ok(None),
            Named::Begun(parent) => parent,
        };
        let own = parent.checkpoint.as_ref().map(|saved| &saved.0).filter(|saved| saved.trial == id);
        match own {
            None => {
                Err(format!("trial {id} has saved no checkpoint to begin from; one that is paused has one"))
            }
            Some(saved) if saved.length >= length => Err(format!(
                "trial {id} has a checkpoint at {}: a length greater than that, instead of {length}",
                saved.length
            )),
            Some(_) => Ok(Some(parent)),
        }
    }

    /// Hyperparameters as the space has them; empty: they are to be drawn.
    fn hparams(&self, given: &str) -> Result<String, String> {
        if given.is_empty() {
            return Ok(String::new());
        }
        if given.len() > MOST_HPARAMS {
            return Err(format!(
                "its hyperparameters have {} bytes, at most {MOST_HPARAMS} are allowed",
                given.len()
            ));
        }
        let hparams = from_json_text(given).ok_or("its hyperparameters are no JSON object")?;
        let admitted = self.machine.spec.config.space.admit(&hparams);
        admitted.map(|hparams| to_json_text(&hparams)).map_err(|refusals| {
            let once: BTreeSet<String> = refusals.iter().map(ToString::to_string).collect();
            together(&once.into_iter().collect::<Vec<_>>())
        })
    }
}

/// A wish of the journal as the searcher takes it; `None`: of a newer version.
pub(super) fn wish(wish: &v1::Wish) -> Option<Wish> {
    let why = wish.reason.as_str().into();
    Some(match wish.kind.as_ref()? {
        Kind::Create(create) => Wish::Create {
            hparams: from_json_text(&create.hparams_json),
            train_to: create.length,
            clone_from: (create.clone_from != 0).then_some(TrialId(create.clone_from)),
            why,
        },
        Kind::Train(train) => Wish::Train { trial: TrialId(train.trial), length: train.length, why },
        Kind::Pause(trial) => Wish::Pause { trial: TrialId(*trial), why },
        Kind::Stop(trial) => Wish::Stop { trial: TrialId(*trial), why },
        Kind::Finish(_) => Wish::Finish { why },
    })
}
