//! What a trial is told, step by step.

use super::*;

fn contract() -> Contract {
    Contract::new(Terms {
        train_until: 3,
        max_length: 9,
        time_metric: "epochs".to_owned(),
        metric: "error".to_owned(),
        conversion: LengthConversion { records_per_epoch: 0, records_per_batch: 0 },
        resumes: false,
    })
}

fn validate(contract: &mut Contract, length: u64) {
    contract.report(Group::Validation, length, ["error"].into_iter()).unwrap();
}

fn decision(kind: DecisionKind, length: u64) -> Decision {
    Decision { kind: kind.into(), trial: 1, length, reason: "rank 5 of 9".to_owned() }
}

#[test]
fn trains_until_the_rung_then_waits_for_the_decision() {
    let mut contract = contract();
    assert_eq!(contract.next(0), Some(Answer::Train { until: 3 }));
    validate(&mut contract, 2);
    assert_eq!(contract.next(2), Some(Answer::Train { until: 3 }));
    validate(&mut contract, 3);
    assert_eq!(contract.next(3), None);
    contract.decide(3, &decision(DecisionKind::Train, 9), false);
    assert_eq!(contract.next(3), Some(Answer::Train { until: 9 }));
}

#[test]
fn a_trial_may_go_on_while_it_has_not_validated() {
    let contract = contract();
    assert_eq!(contract.next(3), Some(Answer::Train { until: 4 }));
    assert_eq!(contract.next(9), Some(Answer::Finish));
    assert_eq!(contract.next(u64::MAX), Some(Answer::Finish));
}

#[test]
fn the_last_validation_needs_no_decision() {
    let mut contract = contract();
    contract.decide(3, &decision(DecisionKind::Train, 9), false);
    validate(&mut contract, 9);
    assert_eq!(contract.next(9), Some(Answer::Finish));
    assert_eq!(contract.next(8), None);
    assert!(contract.ends_by_itself() && !contract.is_attached());
}

#[test]
fn decisions_to_pause_and_stop_are_told_with_their_reason() {
    let mut contract = contract();
    validate(&mut contract, 3);
    contract.decide(3, &decision(DecisionKind::Pause, 0), false);
    assert_eq!(contract.next(3), Some(Answer::Pause { reason: "rank 5 of 9".to_owned() }));
    contract.decide(3, &decision(DecisionKind::Stop, 0), false);
    assert_eq!(contract.next(3), Some(Answer::Stop { reason: "rank 5 of 9".to_owned() }));
    contract.order(Order::Preempt, "later");
    assert_eq!(contract.reason(), "rank 5 of 9", "a weaker demand changes nothing");
    contract.order(Order::Kill, "now");
    assert_eq!((contract.demand(), contract.reason()), (Some(Demand::Kill), "now"));
}

#[test]
fn preemption_is_seen_in_the_status() {
    let mut contract = contract();
    contract.order(Order::Preempt, "node drained");
    let status = Answer::Status { preempt: true, stop: false, reason: "node drained".to_owned() };
    assert_eq!(contract.status(), status);
    contract.order(Order::Stop, "killed");
    assert!(matches!(contract.status(), Answer::Status { preempt: false, stop: true, .. }));
}

#[test]
fn an_answer_to_an_older_validation_leaves_the_newer_open() {
    let mut contract = contract();
    validate(&mut contract, 3);
    validate(&mut contract, 5);
    contract.decide(3, &decision(DecisionKind::Train, 4), false);
    assert_eq!(contract.next(5), None);
    contract.decide(5, &decision(DecisionKind::Train, 9), false);
    assert_eq!(contract.next(5), Some(Answer::Train { until: 9 }));
}

#[test]
fn a_validation_without_the_metric_breaks_the_contract_until_mended() {
    let mut contract = contract();
    let error = contract.report(Group::Validation, 3, ["loss", "acc"].into_iter()).unwrap_err();
    assert_eq!(error, "a validation must contain 'error'; reported were: loss, acc");
    assert_eq!(contract.broken(), Some(error.as_str()));
    assert_eq!(contract.next(3), Some(Answer::Train { until: 4 }));
    validate(&mut contract, 3);
    assert_eq!(contract.broken(), None);
}

/// One that was told to pause at length 3, and may refuse.
fn pausing() -> Contract {
    let mut contract = contract();
    contract.attach();
    validate(&mut contract, 3);
    contract.decide(3, &decision(DecisionKind::Pause, 0), true);
    contract
}

fn pause() -> Answer {
    Answer::Pause { reason: "rank 5 of 9".to_owned() }
}

#[test]
fn a_trial_without_a_checkpoint_refuses_once_and_is_told_what_the_engine_says_then() {
    let mut contract = pausing();
    assert_eq!(contract.demand(), Some(Demand::Save), "one that never asks has to end in time");
    assert_eq!((contract.next(3), contract.refuse(), contract.refuse()), (None, Some(3), None));
    assert_eq!((contract.next(3), contract.demand(), contract.reason()), (None, None, ""));
    contract.decide(3, &decision(DecisionKind::Train, 9), false);
    assert_eq!((contract.next(3), contract.refuse()), (Some(Answer::Train { until: 9 }), None));

    let mut contract = pausing();
    contract.refuse();
    contract.decide(3, &decision(DecisionKind::Pause, 0), false);
    assert_eq!((contract.next(3), contract.demand()), (Some(pause()), Some(Demand::Save)), "it stands");

    let mut contract = pausing();
    contract.refuse();
    contract.decide(3, &decision(DecisionKind::Stop, 0), false);
    assert!(matches!(contract.next(3), Some(Answer::Stop { .. })));
}

#[test]
fn a_pause_that_is_said_again_is_refused_again() {
    let mut contract = pausing();
    contract.refuse();
    contract.decide(3, &decision(DecisionKind::Pause, 0), true);
    assert_eq!((contract.refuse(), contract.next(3)), (Some(3), None), "the answer may have been lost");
}

#[test]
fn whoever_has_saved_or_has_heard_of_it_pauses() {
    let mut contract = pausing();
    contract.save();
    assert_eq!((contract.refuse(), contract.next(3)), (None, Some(pause())));

    let mut contract = pausing();
    contract.hand_out();
    assert_eq!((contract.refuse(), contract.next(3)), (None, Some(pause())));

    let mut contract = pausing();
    contract.refuse();
    contract.save();
    contract.hand_out();
    assert_eq!((contract.next(3), contract.demand()), (None, None), "the engine was asked first");
}

#[test]
fn an_order_is_not_refused() {
    let mut contract = pausing();
    contract.refuse();
    contract.order(Order::Preempt, "node drained");
    assert_eq!(contract.next(3), Some(Answer::Pause { reason: "node drained".to_owned() }));
    contract.decide(3, &decision(DecisionKind::Train, 9), false);
    assert_eq!(contract.demand(), Some(Demand::Save), "a decision takes no order back");
    let mut contract = pausing();
    contract.order(Order::Preempt, "node drained");
    assert_eq!((contract.refuse(), contract.reason()), (None, "node drained"));
}

#[test]
fn scripts_that_never_ask_cannot_refuse() {
    let mut contract = contract();
    validate(&mut contract, 3);
    contract.decide(3, &decision(DecisionKind::Pause, 0), true);
    assert_eq!((contract.refuse(), contract.demand()), (None, Some(Demand::Save)));
}
