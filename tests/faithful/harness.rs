//! The harness's side: the search in a simulated cluster, with its transcript.

use crate::transcript::Transcript;
use toprung_config::ExperimentConfig;
use toprung_searchers::{Action, Event, Searcher};
use toprung_simulations::world::Outcome;
use toprung_simulations::{Player, Table, World};

pub struct Played {
    pub transcript: Transcript,
    pub outcome: Outcome,
}

/// A searcher whose words are written down.
struct Recorder {
    searcher: Searcher,
    transcript: Transcript,
}

impl Player for Recorder {
    fn handle(&mut self, event: &Event, actions: &mut Vec<Action>) {
        self.transcript.hear(event);
        let before = actions.len();
        self.searcher.handle_into(event, None, actions);
        for action in &actions[before..] {
            self.transcript.say(action);
        }
    }
}

/// Plays the search of an experiment file on so many slots, where nothing fails.
pub fn play(config: &ExperimentConfig, table: &Table, slots: u32) -> Played {
    let seed = config.experiment_seed.unwrap();
    let searcher = Searcher::new(config.searcher.method.clone(), config.space.clone(), seed).unwrap();
    let mut recorder = Recorder { searcher, transcript: Transcript::default() };
    let outcome = World::calm(slots).play(table, &mut recorder, "recorded", seed).unwrap();
    assert!(outcome.over);
    Played { transcript: recorder.transcript, outcome }
}
