"""Whole scripts as the agent runs them: the fixture of the end-to-end tests against a fake agent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from fake_agent import FakeAgent

ROOT = Path(__file__).parent.parent.parent
LOGREG = ROOT / "tests" / "fixtures" / "logreg" / "train.py"


@unittest.skipUnless(LOGREG.exists(), "needs the whole repository")
class ScriptTest(unittest.TestCase):
    def run_script(self, agent: FakeAgent, **more: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TOPRUNG", "RANK"))}
        return subprocess.run(
            [sys.executable, "-W", "error", str(LOGREG)],
            env={**kept, "PYTHONPATH": str(ROOT / "python"), **agent.environment(**more)},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def test_paused_and_resumed_equals_uninterrupted(self) -> None:
        with FakeAgent(max_length=4) as agent:
            self.assertEqual(self.run_script(agent).returncode, 0)
            whole = [report["metrics"] for report in agent.asked("report")]
        with FakeAgent(max_length=4) as agent:
            agent.answers["next"] = lambda m: (
                {"action": "pause", "reason": "rung 2"} if m["length"] == 2 else {"action": "train", "until": 2}
            )
            done = self.run_script(agent)
            self.assertEqual((done.returncode, done.stdout), (0, "ended at 2: rung 2\n"))
            del agent.answers["next"]
            latest = agent.checkpoints / "uuid-2"
            done = self.run_script(agent, TOPRUNG_LATEST_CHECKPOINT=str(latest), TOPRUNG_LATEST_LENGTH="2")
            self.assertEqual((done.returncode, done.stdout), (0, "resumed at 2\n"))
            self.assertEqual([report["metrics"] for report in agent.asked("report")], whole)
            self.assertEqual(len(whole), 4)

    def test_knobs(self) -> None:
        def data(**knobs: Any) -> str:
            return json.dumps(knobs)

        with FakeAgent() as agent:
            done = self.run_script(agent, TOPRUNG_DATA=data(fail_at=2), TOPRUNG_ATTEMPT="1")
            self.assertEqual(done.returncode, 1)
            self.assertEqual([r["length"] for r in agent.asked("checkpoint")], [1])
            self.assertEqual(self.run_script(agent, TOPRUNG_DATA=data(fail_at=2)).returncode, 0)
        with FakeAgent() as agent:
            done = self.run_script(agent, TOPRUNG_DATA=data(invalid_above=0.05))
            self.assertNotEqual(done.returncode, 0)
            self.assertEqual(len(agent.asked("invalid_hyperparameters")), 1)
            self.assertEqual(agent.asked("next"), [])


if __name__ == "__main__":
    unittest.main()
