//! A program that decides a search: it outlives the engine, loses answers, dies and goes on from what it saved.
//!
//! It looks every now and then: first it sends again what was not answered, else it listens. Trials train 2 epochs; odd ones go on
//! to 5, even ones are stopped; each that has ended makes room for another, and after [`TRIALS`] it wants the end.

use std::collections::BTreeMap;
use toprung_engine::experiment::directing::RefusedDecision;
use toprung_proto::v1::{self, SearchEventKind as Kind, wish};

use crate::outer::Outer;

/// Trials that it wants in all, and at first.
const TRIALS: u32 = 6;
const AT_FIRST: u32 = 3;

/// See the module.
#[derive(Debug, Default)]
pub struct Program {
    /// What it wants and has no answer for.
    pub pending: Option<v1::DecideRequest>,
    requests: u64,
    seen: u64,
    decided: u64,
    /// What it keeps with its decisions.
    ended: u32,
    /// All that it ever heard, to compare: an event never changes.
    heard: BTreeMap<u64, v1::SearchEvent>,
    /// The state of its newest answered decision, by how many there were.
    saved: (u64, Option<String>),
    /// It begins, or begins again after it died: it needs its state.
    begins: bool,
}

impl Program {
    /// Before it has heard anything.
    pub fn new() -> Self {
        Self { begins: true, ..Self::default() }
    }

    /// The number after which it listens: all that is kept, if it begins.
    pub fn after(&self) -> u64 {
        if self.begins { 0 } else { self.seen }
    }

    /// It heard what has happened, and decides upon it. Answers what is wrong with that.
    pub fn heard(&mut self, heard: v1::ListenResponse) -> Result<(), String> {
        if heard.decided < self.decided {
            return Err(format!("{} decisions were answered, {} are known", self.decided, heard.decided));
        }
        if heard.decided == self.saved.0 && heard.state != self.saved.1 {
            return Err(format!("{:?} was saved, {:?} came back", self.saved.1, heard.state));
        }
        if self.pending.is_some() || (heard.decided > self.decided && !self.begins) {
            // An older answer, or one that was overtaken.
            return Ok(());
        }
        if std::mem::take(&mut self.begins) {
            self.ended = heard.state.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0);
            (self.seen, self.decided) = (heard.seen, heard.decided);
        }
        let mut wishes = Vec::new();
        let mut next = heard.next_trial;
        let seen = self.seen;
        for event in heard.events.into_iter().filter(|event| event.number > seen) {
            self.know(&event)?;
            self.seen = event.number;
            self.follow(&event, &mut next, &mut wishes);
        }
        if self.seen > heard.seen {
            self.requests += 1;
            self.pending = Some(v1::DecideRequest {
                request_id: format!("{}-{}", self.requests, self.decided),
                after: Some(self.decided),
                seen: self.seen,
                wishes,
                state: Some(self.ended.to_string()),
                ..v1::DecideRequest::default()
            });
        }
        Ok(())
    }

    /// What was heard once stays so, and each trial is created and ended once.
    fn know(&mut self, event: &v1::SearchEvent) -> Result<(), String> {
        let bare = v1::SearchEvent { hparams_json: String::new(), ..event.clone() };
        if let Some(known) = self.heard.get(&event.number) {
            return if *known == bare { Ok(()) } else { Err(format!("{known:?} became {bare:?}")) };
        }
        let same = |known: &&v1::SearchEvent| known.trial == bare.trial && known.kind() == bare.kind();
        let once = matches!(bare.kind(), Kind::Created | Kind::Ended | Kind::Begun);
        if let Some(known) = self.heard.values().find(same).filter(|_| once) {
            return Err(format!("{known:?}, and again {bare:?}"));
        }
        self.heard.insert(event.number, bare);
        Ok(())
    }

    fn follow(&mut self, event: &v1::SearchEvent, next: &mut u32, wishes: &mut Vec<v1::Wish>) {
        let create = || wish::Kind::Create(v1::WishedTrial { length: 2, ..v1::WishedTrial::default() });
        let wanted: Vec<wish::Kind> = match event.kind() {
            Kind::Begun => (0..AT_FIRST).map(|_| create()).collect(),
            Kind::Paused if event.trial % 2 == 1 => {
                vec![wish::Kind::Train(v1::WishedLength { trial: event.trial, length: 5 })]
            }
            Kind::Paused => vec![wish::Kind::Stop(event.trial)],
            Kind::Ended => {
                self.ended += 1;
                match self.ended {
                    TRIALS => vec![wish::Kind::Finish(true)],
                    _ if *next <= TRIALS => vec![create()],
                    _ => Vec::new(),
                }
            }
            _ => Vec::new(),
        };
        for kind in wanted {
            *next += u32::from(matches!(kind, wish::Kind::Create(_)));
            wishes.push(v1::Wish { kind: Some(kind), reason: String::new() });
        }
    }

    /// Its decision was answered.
    pub fn answered(
        &mut self,
        request_id: &str,
        answer: Result<v1::DecideResponse, RefusedDecision>,
    ) -> Result<(), String> {
        let Some(request) = self.pending.take_if(|pending| pending.request_id == request_id) else {
            return Ok(());
        };
        match answer {
            Ok(answer) if answer.decided == self.decided + 1 => {
                self.decided = answer.decided;
                self.saved = (self.decided, request.state);
                Ok(())
            }
            Ok(answer) => Err(format!("{} decisions after {}", answer.decided, self.decided)),
            // Somebody ends the experiment, or it was taken before it died.
            Err(RefusedDecision::Conflict(_)) => {
                self.dies();
                Ok(())
            }
            Err(refused) => Err(format!("{request:?} was refused: {refused}")),
        }
    }

    /// It dies, and begins again from what it saved.
    pub fn dies(&mut self) {
        self.pending = None;
        self.begins = true;
        self.ended = 0;
    }
}

/// What happens to programs: an answer may be lost, and they die.
pub fn is_lost(outer: &mut Outer) -> bool {
    outer.faults && outer.chance.one(1, 8)
}
