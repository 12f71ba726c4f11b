//! The live screen at several sizes, asserted on what a person reads.

use super::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

fn trial(id: u32, state: TrialState, reason: &str) -> v1::Trial {
    let mut trial = v1::Trial {
        id,
        length: 3,
        train_until: 9,
        latest_metric: (state == TrialState::Running).then_some(0.125),
        reason: reason.into(),
        ..Default::default()
    };
    trial.set_state(state);
    trial
}

fn rung(index: u32, length: u64, trials: u64, promoted: u64) -> v1::Rung {
    v1::Rung { bracket: 0, index, length, trials, promoted, best: 0.2 }
}

fn screen() -> Screen {
    let mut experiment = v1::Experiment {
        id: 1,
        name: "digits".into(),
        searcher: "adaptive_asha".into(),
        metric: "error".into(),
        time_metric: "epochs".into(),
        total_length: 412,
        full_length: 864,
        created_unix_ms: 0,
        slots_in_use: 2,
        trials: Some(v1::TrialCounts { total: 32, running: 2, paused: 30, ..Default::default() }),
        best: Some(v1::BestTrial {
            trial: 7,
            metric: 0.031,
            length: 27,
            hparams_json: r#"{"lr": 0.01, "hidden": 64}"#.into(),
            checkpoint: None,
        }),
        ..Default::default()
    };
    experiment.set_state(State::Active);
    let point = |length, metric| v1::CurvePoint { length, metric };
    Screen {
        view: v1::WatchExperimentResponse {
            experiment: Some(experiment),
            active: vec![
                trial(9, TrialState::Pending, "waits for 1 slot: 2 of 2 in use"),
                trial(4, TrialState::Running, "rung 1 (length 3): rank 1 of 9, best 3 go on"),
                trial(5, TrialState::Starting, "environment: installing 3 packages"),
            ],
            rungs: vec![rung(0, 1, 24, 8), rung(1, 3, 8, 2), rung(2, 9, 2, 0)],
            best_curve: vec![point(1, 0.9), point(9, 0.1), point(27, 0.031)],
            slots_total: 2,
            expected_seconds_left: 180,
            degraded: String::new(),
            events: vec![],
        },
        events: vec!["trial 8 stopped".into()],
        now_ms: 130_000,
        footer: "Ctrl-C pauses".into(),
        colour: true,
    }
}

fn shown(screen: &Screen, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen.draw(frame.area(), frame.buffer_mut())).unwrap();
    terminal.backend().to_string()
}

#[test]
fn a_search_that_waits_says_for_what() {
    let mut screen = screen();
    screen.view.active =
        vec![trial(1, TrialState::Pending, "needs 9 slots on one agent; the largest agent has 2")];
    screen.view.experiment.as_mut().unwrap().slots_in_use = 0;
    let text = shown(&screen, 100, 23);
    assert!(text.contains("0 of 2 · waiting: needs 9 slots on one agent; the largest agent has 2"), "{text}");
}

#[test]
fn a_usual_terminal_shows_everything() {
    let text = shown(&screen(), 80, 23);
    for expected in [
        "digits  experiment 1 · active · adaptive_asha · 2 min 10 s · about 3 min left",
        "32: 2 running, 30 paused",
        "2 of 2",
        "412 of 864 epochs (48 %)",
        "error 0.031 at 27 epochs · trial 7",
        "lr=0.01 hidden=64",
        "rungs (epochs): trials → promoted",
        "24 → 8",
        "trial 7: error",
        "waits for 1 slot: 2 of 2 in use",
        "installing 3 packages",
        "trial 8 stopped",
        "Ctrl-C pauses",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
}

#[test]
fn working_trials_come_before_waiting_ones() {
    let text = shown(&screen(), 80, 23);
    let (running, waiting) = (text.find("running   3/9"), text.find("pending   3/9"));
    assert!(running.is_some() && running < waiting, "{text}");
}

#[test]
fn a_narrow_terminal_drops_the_curve_and_keeps_the_rungs() {
    let text = shown(&screen(), 48, 20);
    assert!(text.contains("24 → 8"), "{text}");
    assert!(!text.contains("trial 7: error"), "{text}");
    assert!(text.contains("Ctrl-C pauses"), "{text}");
}

#[test]
fn a_tiny_terminal_keeps_the_head_and_the_footer() {
    let text = shown(&screen(), 30, 7);
    assert!(text.contains("digits  experiment 1"), "{text}");
    assert!(text.contains("Ctrl-C pauses"), "{text}");
}

#[test]
fn no_size_is_too_small_and_no_view_too_empty() {
    for (width, height) in [(1, 1), (3, 2), (10, 3), (20, 6), (200, 60)] {
        shown(&screen(), width, height);
        shown(&Screen::default(), width, height);
    }
}

#[test]
fn many_trials_are_counted_where_they_do_not_fit() {
    let mut many = screen();
    many.view.active = (1..=40).map(|id| trial(id, TrialState::Running, "")).collect();
    let text = shown(&many, 80, 23);
    assert!(text.contains(" more"), "{text}");
    assert!(text.contains("24 → 8"), "the rungs keep their place:\n{text}");
}

#[test]
fn without_colour_no_cell_has_one() {
    let mut plain = screen();
    plain.colour = false;
    let mut buffer = Buffer::empty(Rect::new(0, 0, 80, 23));
    plain.draw(buffer.area, &mut buffer);
    assert!(buffer.content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
}
