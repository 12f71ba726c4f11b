"""A trial inside Toprung, against a fake agent that speaks the contract."""

from __future__ import annotations

import math
import os
import sys
import threading
import unittest
from pathlib import Path
from typing import Any, List
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))

import toprung
from fake_agent import FakeAgent
from toprung._socket import Connection


class InsideTest(unittest.TestCase):
    def setUp(self) -> None:
        self.agent = self.enterContextManager(FakeAgent())
        self.set_environment()

    def enterContextManager(self, manager: Any) -> Any:
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    def set_environment(self, **more: str) -> None:
        kept = {name: value for name, value in os.environ.items() if name not in ("RANK",)}
        self.enterContextManager(mock.patch.dict(os.environ, {**kept, **self.agent.environment(**more)}, clear=True))

    def types(self) -> List[str]:
        return [request["type"] for request in self.agent.asked("report", "checkpoint", "next")]

    def test_identity_comes_from_the_environment(self) -> None:
        with toprung.trial(defaults={"learning_rate": 9.0, "unused": 1}) as trial:
            self.assertTrue(trial.inside)
            self.assertTrue(trial.is_chief)
            self.assertEqual((trial.id, trial.attempt, trial.seed, trial.max_length), (7, 2, 42, 3))
            self.assertEqual(trial.hparams, {"learning_rate": 0.1})
            self.assertEqual(trial.data.path, "/data")
            self.assertEqual(trial.scratch, self.agent.root)
            self.assertIsNone(trial.latest_checkpoint)
            self.assertEqual(trial.latest_length, 0)

    def test_hello_is_said_before_anything_else(self) -> None:
        toprung.trial().should_stop()
        first = self.agent.requests[0]
        self.assertEqual(first, {"type": "hello", "sdk": "python", "version": toprung.__version__})

    def test_hyperparameters_may_come_from_a_file(self) -> None:
        path = self.agent.root / "hparams.json"
        path.write_text('{"hidden": 3}')
        self.set_environment(TOPRUNG_HPARAMS="", TOPRUNG_HPARAMS_FILE=str(path))
        self.assertEqual(toprung.trial().hparams.hidden, 3)

    def test_loop_asks_before_each_length_and_after_the_last(self) -> None:
        with toprung.trial() as trial:
            seen = []
            for epoch in trial.lengths():
                seen.append(epoch)
                trial.report(validation_error=1 / epoch)
        self.assertEqual(seen, [1, 2, 3])
        self.assertEqual([r["length"] for r in self.agent.asked("next")], [0, 1, 2, 3])
        self.assertEqual(self.types(), ["next", "report", "next", "report", "next", "report", "next"])
        self.assertTrue(trial.finished)
        self.assertFalse(trial.paused or trial.stopped)

    def test_trial_itself_is_iterable(self) -> None:
        self.assertEqual(list(toprung.trial()), [1, 2, 3])
        self.assertEqual(list(toprung.trial().epochs()), [1, 2, 3])

    def test_resumed_trial_goes_on_after_its_checkpoint(self) -> None:
        self.set_environment(TOPRUNG_LATEST_CHECKPOINT="/there/uuid", TOPRUNG_LATEST_LENGTH="2")
        trial = toprung.trial()
        self.assertEqual(trial.latest_checkpoint, Path("/there/uuid"))
        self.assertEqual(list(trial.lengths()), [3])
        self.assertEqual([r["length"] for r in self.agent.asked("next")], [2, 3])

    def test_pause_and_stop_end_the_loop_and_say_why(self) -> None:
        for action in ("pause", "stop"):
            with self.subTest(action):
                self.agent.answers["next"] = lambda m: (
                    {"action": action, "reason": "rank 5 of 9"} if m["length"] else {"action": "train", "until": 1}
                )
                with toprung.trial() as trial:
                    self.assertEqual(list(trial.lengths()), [1])
                self.assertEqual((trial.paused, trial.stopped), (action == "pause", action == "stop"))
                self.assertEqual(trial.stop_reason, "rank 5 of 9")
                asked = len(self.agent.asked("next"))
                self.assertEqual(list(trial.lengths()), [], "an ended trial must not start again")
                self.assertEqual(len(self.agent.asked("next")), asked, "nor ask again")

    def test_wait_is_asked_again(self) -> None:
        waits = iter([True, True])
        self.agent.answers["next"] = lambda m: (
            {"action": "wait"} if next(waits, False) else {"action": "stop", "reason": "enough"}
        )
        trial = toprung.trial()
        self.assertEqual(list(trial.lengths()), [])
        self.assertTrue(trial.stopped)
        self.assertEqual(len(self.agent.asked("next")), 3)

    def test_steps_stop_at_rungs_and_at_the_end(self) -> None:
        self.agent.max_length = 250
        self.set_environment()
        self.agent.answers["next"] = lambda m: (
            {"action": "finish"}
            if m["length"] >= 250
            else {"action": "train", "until": 62 if m["length"] < 62 else 250}
        )
        self.assertEqual(list(toprung.trial().lengths(step=100)), [62, 162, 250])

    def test_step_past_the_rung_without_a_validation(self) -> None:
        self.agent.answers["next"] = lambda m: (
            {"action": "finish"} if m["length"] >= 3 else {"action": "train", "until": 1}
        )
        self.assertEqual(list(toprung.trial().lengths(step=2)), [1, 3])

    def test_own_loop(self) -> None:
        trial = toprung.trial()
        self.assertTrue(trial.advance(1))
        self.assertTrue(trial.advance(2))
        self.assertFalse(trial.advance(3))
        with self.assertRaisesRegex(ValueError, "give length="):
            trial.report(validation_error=0.1)

    def test_status_is_shown_by_should_stop(self) -> None:
        trial = toprung.trial()
        self.assertFalse(trial.should_stop())
        self.agent.answers["status"] = lambda m: {"preempt": True, "stop": False, "reason": "node drained"}
        self.assertTrue(trial.should_stop())
        self.assertTrue(trial.paused)
        self.assertEqual(trial.stop_reason, "node drained")

    def test_report_carries_group_length_unit_and_special_values(self) -> None:
        trial = toprung.trial()
        for _ in trial.lengths():
            trial.report({"a/b": 1}, c=float("nan"), d=math.inf, e=-math.inf)
            trial.report_training(loss=0.5, batches=100)
            trial.report(loss=0.5, length=9)
            break
        self.assertEqual(
            self.agent.asked("report"),
            [
                {"type": "report", "group": "validation", "length": 1, "unit": None,
                 "metrics": {"a/b": 1.0, "c": "NaN", "d": "Infinity", "e": "-Infinity"}},
                {"type": "report", "group": "training", "length": 100, "unit": "batches", "metrics": {"loss": 0.5}},
                {"type": "report", "group": "validation", "length": 9, "unit": None, "metrics": {"loss": 0.5}},
            ],
        )  # fmt: skip

    def test_refusal_has_the_agents_words(self) -> None:
        self.agent.answers["report"] = lambda m: {"ok": False, "error": "metric validation_error is missing"}
        with self.assertRaisesRegex(toprung.ContractError, "metric validation_error is missing"):
            toprung.trial().report(other=1, length=1)

    def test_checkpoint_is_completed_by_the_agent(self) -> None:
        with toprung.trial() as trial:
            for epoch in trial.lengths():
                with trial.save() as directory:
                    self.assertTrue(directory.name.startswith("incomplete-"))
                    (directory / "model").write_text(str(epoch))
        latest = trial.latest_checkpoint
        assert latest is not None
        self.assertEqual(((latest / "model").read_text(), trial.latest_length), ("3", 3))
        self.assertEqual([r["length"] for r in self.agent.asked("checkpoint")], [1, 2, 3])

    def test_checkpoint_is_dropped_when_writing_it_fails(self) -> None:
        trial = toprung.trial()
        with self.assertRaises(ZeroDivisionError):
            with trial.save(length=1) as directory:
                (directory / "half").touch()
                raise ZeroDivisionError
        self.assertEqual(self.agent.asked("checkpoint"), [])
        self.assertEqual(list(self.agent.checkpoints.iterdir()), [])
        self.assertIsNone(trial.latest_checkpoint)

    def test_refused_checkpoint_is_dropped(self) -> None:
        self.agent.answers["checkpoint"] = lambda m: {"ok": False, "error": "disk full"}
        with self.assertRaisesRegex(toprung.ContractError, "disk full"):
            with toprung.trial().save(length=1):
                pass
        self.assertEqual(list(self.agent.checkpoints.iterdir()), [])

    def test_invalid_hyperparameters_are_told_once(self) -> None:
        with self.assertRaises(toprung.InvalidHyperparameters):
            with toprung.trial() as trial:
                trial.invalid_hyperparameters("too wide")
        with self.assertRaises(toprung.InvalidHyperparameters):
            with toprung.trial():
                raise toprung.InvalidHyperparameters("too deep")
        self.assertEqual([r["reason"] for r in self.agent.asked("invalid_hyperparameters")], ["too wide", "too deep"])

    def test_other_ranks_are_silent_and_follow_the_chief(self) -> None:
        shared: List[Any] = []
        chief = toprung.trial(broadcast=lambda value: shared.append(value) or value)
        for epoch in chief.lengths():
            chief.report(validation_error=0.1)
        requests = len(self.agent.requests)
        self.set_environment(RANK="1")
        other = toprung.trial(broadcast=lambda value: shared.pop(0))
        seen = []
        for epoch in other.lengths():
            seen.append(epoch)
            other.report(validation_error=0.1)
            other.progress(0.5)
            with other.save() as directory:
                (directory / "model").touch()
        self.assertEqual(seen, [1, 2, 3])
        self.assertFalse(other.is_chief)
        self.assertFalse(directory.exists())
        self.assertEqual(len(self.agent.requests), requests)
        with self.assertRaisesRegex(toprung.ContractError, "broadcast"):
            next(toprung.trial().lengths())

    def test_missing_variable_is_named(self) -> None:
        self.set_environment(TOPRUNG_TRIAL_SEED="")
        with self.assertRaisesRegex(toprung.ContractError, "TOPRUNG_TRIAL_SEED"):
            toprung.trial()

    def test_missing_hyperparameter_names_the_nearest(self) -> None:
        trial = toprung.trial(defaults={"hidden": 3})
        with self.assertRaisesRegex(KeyError, "did you mean 'learning_rate'"):
            trial.hparams["learning_rat"]
        with self.assertRaises(AttributeError):
            trial.hparams.hidden

    def test_broken_connection_is_opened_again(self) -> None:
        cuts = iter([True])
        self.agent.answers["report"] = lambda m: None if next(cuts, False) else {"ok": True}
        trial = toprung.trial()
        trial.report(loss=1, length=1)
        self.assertEqual(len(self.agent.asked("report")), 2)
        self.assertEqual(len(self.agent.asked("hello")), 2, "a new agent must learn that the script is attached")

    def test_silent_agent_is_an_error_after_the_deadline(self) -> None:
        self.agent.answers["report"] = lambda m: "silence"
        connection = Connection(str(self.agent.root / "socket"), deadline=0.2)
        with self.assertRaisesRegex(toprung.AgentUnavailable, "'report' within 0.2 s"):
            connection.request({"type": "report"})
        self.assertEqual(connection.request({"type": "progress"}), {"ok": True})
        connection.close()

    def test_absent_agent_is_an_error_after_the_deadline(self) -> None:
        connection = Connection(str(self.agent.root / "nobody"), deadline=0.2)
        with self.assertRaisesRegex(toprung.AgentUnavailable, "could not be reached for 0.2 s"):
            connection.request({"type": "status"})

    def test_nonsense_from_the_agent_is_an_error(self) -> None:
        self.agent.answers["next"] = lambda m: {"action": "dance"}
        with self.assertRaisesRegex(toprung.ContractError, "dance"):
            toprung.trial().advance(1)
        self.agent.answers["report"] = lambda m: [1]
        with self.assertRaisesRegex(toprung.ContractError, "no JSON object"):
            toprung.trial().report(loss=1, length=1)

    def test_threads_get_their_own_answers(self) -> None:
        self.agent.answers["report"] = lambda m: (
            {"ok": True} if m["length"] % 2 else {"ok": False, "error": f"<{m['length']}>"}
        )
        trial = toprung.trial()
        wrong: List[str] = []

        def work(first: int) -> None:
            for length in range(first, first + 50):
                try:
                    trial.report(loss=1, length=length)
                    if length % 2 == 0:
                        wrong.append(f"{length} passed")
                except toprung.ContractError as error:
                    if f"<{length}>" not in str(error):
                        wrong.append(str(error))

        threads = [threading.Thread(target=work, args=(100 * number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(wrong, [])
        self.assertEqual(len(self.agent.asked("report")), 400)

    def test_waiting_for_a_decision_delays_no_report(self) -> None:
        asked, go_on = threading.Event(), threading.Event()

        def hold(message: Any) -> Any:
            asked.set()
            go_on.wait(10)
            return {"action": "finish"}

        self.agent.answers["next"] = hold
        trial = toprung.trial()
        waiting = threading.Thread(target=trial.advance, args=(1,))
        waiting.start()
        self.assertTrue(asked.wait(60))
        trial.report(loss=1, length=1)
        self.assertTrue(waiting.is_alive())
        go_on.set()
        waiting.join(60)
        self.assertTrue(trial.finished)

    @unittest.skipUnless(hasattr(os, "fork"), "needs fork")
    def test_forked_child_has_its_own_connection(self) -> None:
        trial = toprung.trial()
        trial.report(loss=1, length=1)
        before = self.agent.connections
        child = os.fork()
        if child == 0:
            code = 1
            try:
                trial.report(loss=2, length=2)
                code = 0
            finally:
                os._exit(code)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        trial.report(loss=3, length=3)
        self.assertEqual(self.agent.connections, before + 1)
        self.assertEqual([r["length"] for r in self.agent.asked("report")], [1, 2, 3])


if __name__ == "__main__":
    unittest.main()
