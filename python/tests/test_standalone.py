"""A script run by hand, in a process of its own and a directory of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

PACKAGE = Path(__file__).parent.parent

SCRIPT = """
    import sys, toprung
    with toprung.trial(defaults={"learning_rate": 0.1, "layers": 2, "opt": {"name": "adam"}, "flag": False}) as trial:
        if trial.latest_checkpoint:
            print("from", (trial.latest_checkpoint / "model").read_text())
        for epoch in trial.lengths():
            trial.report(validation_error=trial.hparams.learning_rate / epoch)
            with trial.save() as directory:
                (directory / "model").write_text(str(epoch))
    print(trial.hparams, trial.seed, trial.inside, trial.finished)
"""


class StandaloneTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def run_script(self, *arguments: str, script: str = SCRIPT, code: int = 0) -> subprocess.CompletedProcess[str]:
        (self.directory / "train.py").write_text(textwrap.dedent(script))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TOPRUNG", "RANK"))}
        done = subprocess.run(
            [sys.executable, "-W", "error", "train.py", *arguments],
            cwd=self.directory,
            env={**kept, "PYTHONPATH": str(PACKAGE)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def test_defaults_one_length_and_a_hint(self) -> None:
        done = self.run_script()
        self.assertEqual(
            done.stdout.splitlines(),
            [
                "epoch=1 validation_error=0.1",
                "{'learning_rate': 0.1, 'layers': 2, 'opt': {'name': 'adam'}, 'flag': False} 0 False True",
            ],
        )
        self.assertIn("--max-length", done.stderr)

    def test_command_line_overrides(self) -> None:
        done = self.run_script(
            "--learning-rate=1", "layers=3", "--opt.name", "sgd", "flag=true", "--max_length", "2", "--seed=5"
        )
        self.assertEqual(
            done.stdout.splitlines(),
            [
                "epoch=1 validation_error=1",
                "epoch=2 validation_error=0.5",
                "{'learning_rate': 1.0, 'layers': 3, 'opt': {'name': 'sgd'}, 'flag': True} 5 False True",
            ],
        )
        self.assertNotIn("--max-length", done.stderr)

    def test_mistakes_on_the_command_line(self) -> None:
        for argument, expected in [
            ("--learning_rat=1", "did you mean 'learning_rate'"),
            ("learning_rate=fast", "must be a number"),
            ("flag=3", "must be true or false"),
            ("--max-length=-1", "0 or more"),
            ("stray", "cannot read the argument 'stray'"),
            ("--resume=nowhere", "--resume needs"),
        ]:
            with self.subTest(argument):
                self.assertIn(expected, self.run_script(argument, code=1).stderr)

    def test_help_lists_hyperparameters(self) -> None:
        done = self.run_script("--help")
        self.assertIn("--opt.name adam", done.stdout)
        self.assertIn("--max-length", done.stdout)

    def test_runs_do_not_overwrite_each_other_and_resume(self) -> None:
        self.run_script("--max-length=2")
        done = self.run_script("--max-length=3", "--resume=checkpoints/run-1/epoch-2")
        self.assertEqual(done.stdout.splitlines()[:2], ["from 2", "epoch=3 validation_error=0.0333333"])
        found = sorted(str(path.relative_to(self.directory)) for path in self.directory.glob("checkpoints/*/*"))
        self.assertEqual(found, [f"checkpoints/{name}" for name in ("run-1/epoch-1", "run-1/epoch-2", "run-2/epoch-3")])

    def test_saving_twice_at_one_length_keeps_both(self) -> None:
        script = """
            import toprung
            trial = toprung.trial()
            for text in "ab":
                with trial.save(length=1) as directory:
                    (directory / "model").write_text(text)
            print((trial.latest_checkpoint / "model").read_text(), len(list(trial.latest_checkpoint.parent.iterdir())))
        """
        self.assertEqual(self.run_script(script=script).stdout, "b 2\n")

    def test_unwritable_directory_does_not_fail_the_run(self) -> None:
        (self.directory / "checkpoints").write_text("a file is in the way")
        done = self.run_script()
        self.assertIn("cannot write to", done.stderr)
        self.assertIn("epoch=1 validation_error=0.1", done.stdout)

    def test_script_with_arguments_of_its_own(self) -> None:
        script = """
            import argparse, toprung
            parser = argparse.ArgumentParser()
            parser.add_argument("--mine")
            print(parser.parse_args().mine, toprung.trial({"rate": 1}, arguments=[]).hparams)
        """
        self.assertEqual(self.run_script("--mine", "x", script=script).stdout, "x {'rate': 1}\n")

    def test_units_are_printed(self) -> None:
        script = """
            import toprung
            with toprung.trial(time_metric="batches", max_length=250) as trial:
                for batch in trial.lengths(step=100):
                    trial.report_training(loss=float("nan"))
                trial.report(error=1, epochs=1)
                trial.scratch.joinpath("file").touch()
        """
        lines = ["batch=100 loss=nan", "batch=200 loss=nan", "batch=250 loss=nan", "epoch=1 error=1"]
        self.assertEqual(self.run_script(script=script).stdout.splitlines(), lines)

    def test_nothing_happens_at_import(self) -> None:
        script = """
            import os, sys
            os.environ["TOPRUNG_SOCKET"] = "/nowhere"
            import toprung
            print(callable(toprung.trial))
        """
        self.assertEqual(self.run_script("stray", script=script).stdout, "True\n")


if __name__ == "__main__":
    unittest.main()
