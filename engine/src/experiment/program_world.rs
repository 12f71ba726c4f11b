//! The program of a `custom` search as the machine sees it, for its tests: it listens, and decides something or other.

use toprung_proto::v1::{self, SearchEventKind as Kind, journal_record::Input, wish};

use super::directing::{Checked, RefusedDecision};
use super::machine_world::World;
use super::snapshot;

/// What the program knows.
#[derive(Default)]
pub(super) struct ProgramWorld {
    /// All events that it has heard, in order.
    pub(super) heard: Vec<v1::SearchEvent>,
    requests: u32,
    last: Option<v1::DecideRequest>,
}

pub(super) fn create(hparams_json: &str, length: u64, clone_from: u32) -> v1::Wish {
    let created = v1::WishedTrial { hparams_json: hparams_json.into(), length, clone_from };
    wished(wish::Kind::Create(created))
}

pub(super) fn train(trial: u32, length: u64) -> v1::Wish {
    wished(wish::Kind::Train(v1::WishedLength { trial, length }))
}

pub(super) fn wished(kind: wish::Kind) -> v1::Wish {
    v1::Wish { kind: Some(kind), reason: "because".into() }
}

impl World {
    /// Hears what is new, all of it.
    pub(super) fn listen(&mut self) {
        loop {
            let after = self.program.heard.last().map_or(0, |event| event.number);
            let heard = self.machine.heard(after, true).unwrap();
            if heard.events.is_empty() {
                return;
            }
            for event in heard.events {
                self.hear(event);
            }
        }
    }

    fn hear(&mut self, event: v1::SearchEvent) {
        let known = &self.program.heard;
        assert!(known.last().is_none_or(|last| last.number < event.number), "{event:?}");
        let of = |kind: Kind| known.iter().filter(move |one| one.kind() == kind);
        let same = |one: &&v1::SearchEvent| one.trial == event.trial;
        match event.kind() {
            Kind::Begun => assert!(known.is_empty()),
            Kind::Created => assert_eq!(event.trial as usize, of(Kind::Created).count() + 1),
            Kind::Validated => {
                assert!(of(Kind::Validated).filter(same).all(|one| one.length < event.length), "{event:?}");
                assert!(of(Kind::Ended).find(same).is_none());
            }
            Kind::Ended => assert!(of(Kind::Ended).find(same).is_none(), "ended twice: {event:?}"),
            _ => {}
        }
        self.program.heard.push(event);
    }

    /// A request after all that was heard.
    pub(super) fn request(&mut self, wishes: Vec<v1::Wish>) -> v1::DecideRequest {
        self.program.requests += 1;
        v1::DecideRequest {
            experiment: 1,
            request_id: format!("request {}", self.program.requests),
            after: Some(self.machine.fold.program.as_ref().unwrap().decided),
            seen: self.program.heard.last().map_or(0, |event| event.number),
            wishes,
            client: "test".into(),
            ..Default::default()
        }
    }

    /// As the shell does it. What is refused changes nothing.
    pub(super) fn decide(
        &mut self,
        request: &v1::DecideRequest,
    ) -> Result<v1::DecideResponse, RefusedDecision> {
        match self.machine.check_decision(request)? {
            Checked::Again(answer) => Ok(answer),
            Checked::New(directed) => {
                assert!(self.input(Input::Directed(directed)), "what was checked is taken");
                let program = self.machine.fold.program.as_ref().unwrap();
                Ok(program.answer(&request.request_id).unwrap().clone())
            }
        }
    }

    /// Listens and wants these; they must be possible.
    pub(super) fn want(&mut self, wishes: Vec<v1::Wish>) -> v1::DecideResponse {
        self.listen();
        let request = self.request(wishes);
        self.decide(&request).unwrap()
    }

    /// Sense or nonsense, seen or not, once or twice.
    pub(super) fn decide_something(&mut self, which: u8, value: u8) {
        if self.machine.fold.end.is_some() || self.ended {
            return;
        }
        if !value.is_multiple_of(3) {
            self.listen();
        }
        let trials = self.machine.fold.trials.len() as u32;
        let trial = u32::from(which) % (trials + 2);
        let one = |value: u8| match value % 9 {
            0..=3 => create(
                ["", "{\"rate\":0.01}", "{\"rate\":7}"][usize::from(value / 9 % 3)],
                u64::from(value % 7),
                0,
            ),
            4 => create("", 6, trial),
            5 | 6 => train(trial, u64::from(value % 8)),
            7 => wished(wish::Kind::Pause(trial)),
            _ => wished(wish::Kind::Stop(trial)),
        };
        let wishes = (0..which % 4).map(|more| one(value.wrapping_add(more * 37))).collect();
        let request = self.request(wishes);
        let request = match self.program.last.take().filter(|_| value.is_multiple_of(7)) {
            Some(again) => again,
            None => v1::DecideRequest { state: Some(format!("state {value}")), ..request },
        };
        let before = snapshot::encode(&self.machine).unwrap();
        match self.decide(&request) {
            Ok(answer) => {
                let stands = snapshot::encode(&self.machine).unwrap();
                assert!(!answer.again || before == stands, "what was taken before changes nothing");
                let again = self.decide(&request).unwrap();
                assert_eq!((again.again, again.trials, again.decided), (true, answer.trials, answer.decided));
                assert_eq!(snapshot::encode(&self.machine).unwrap(), stands);
                self.program.last = Some(request);
            }
            Err(_) => {
                assert_eq!(snapshot::encode(&self.machine).unwrap(), before, "a refusal changes nothing")
            }
        }
    }

    /// The program wants the end, where one decides.
    pub(super) fn finish_if_decided(&mut self) {
        if self.machine.fold.program.is_some() && self.machine.fold.end.is_none() && !self.ended {
            self.want(vec![wished(wish::Kind::Finish(true))]);
        }
    }
}
