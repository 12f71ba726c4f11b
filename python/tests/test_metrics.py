"""What counts as a number."""

from __future__ import annotations

import copy
import json
import pickle
import sys
import unittest
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from toprung import Hyperparameters
from toprung._metrics import numbers, whole


class Scalar:
    """Looks like a NumPy scalar or a tensor."""

    def __init__(self, value: float, dtype: str = "float32", shape: Any = ()) -> None:
        self.value, self.dtype, self.shape, self.ndim = value, dtype, shape, len(shape)

    def __float__(self) -> float:
        return float(self.value)

    def __index__(self) -> int:
        return int(self.value)


class MetricsTest(unittest.TestCase):
    def test_numbers_of_all_kinds(self) -> None:
        found = numbers({"a": 1, "b": 0.5, "c": Scalar(2.0), "d": Decimal("0.25")})
        self.assertEqual(found, {"a": 1.0, "b": 0.5, "c": 2.0, "d": 0.25})

    def test_what_is_no_number_is_named(self) -> None:
        bad = [True, "0.5", b"1", None, [1.0], Scalar(1, "bool"), Scalar(1, "torch.bool"), 1j, 10**400]
        for value in bad:
            with self.subTest(value=value), self.assertRaisesRegex(TypeError, "'accuracy'"):
                numbers({"fine": 1.0, "accuracy": value})

    def test_array_is_named_with_its_shape(self) -> None:
        with self.assertRaisesRegex(TypeError, r"'loss'.*\(3,\)"):
            numbers({"loss": Scalar(1, shape=(3,))})

    def test_empty_report_and_bad_names(self) -> None:
        self.assertRaises(ValueError, numbers, {})
        self.assertRaises(TypeError, numbers, {"": 1})
        self.assertRaises(TypeError, numbers, {3: 1})

    def test_lengths(self) -> None:
        self.assertEqual(whole("length", Scalar(3)), 3)
        for value in (True, 1.5, "3"):
            self.assertRaises(TypeError, whole, "length", value)
        self.assertRaises(ValueError, whole, "length", -1)


class HyperparametersTest(unittest.TestCase):
    def setUp(self) -> None:
        self.h = Hyperparameters({"rate": 0.1, "optimizer": {"name": "sgd", "inner": {"x": 1}}})

    def test_access(self) -> None:
        self.assertEqual(self.h["rate"], 0.1)
        self.assertEqual(self.h.optimizer.name, "sgd")
        self.assertEqual(self.h["optimizer.inner.x"], 1)
        self.assertEqual(self.h["optimizer"]["inner"]["x"], 1)
        self.assertEqual(dict(**self.h.optimizer.inner), {"x": 1})
        self.assertFalse(hasattr(self.h, "nothing"))

    def test_copies_and_serialisation(self) -> None:
        self.assertEqual(copy.deepcopy(self.h).optimizer.name, "sgd")
        self.assertEqual(copy.copy(self.h).optimizer.name, "sgd")
        self.assertEqual(json.loads(json.dumps(self.h)), self.h)
        loaded = pickle.loads(pickle.dumps(self.h))
        self.assertEqual((type(loaded), type(loaded["optimizer"]), loaded), (dict, dict, self.h))


if __name__ == "__main__":
    unittest.main()
