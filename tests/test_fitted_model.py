import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import belief.fitted_model
from belief.fitted_model import FittedModel, fingerprint

PACKAGE = Path(belief.fitted_model.__file__).parent


def make(**changed):
    rng = np.random.default_rng(0)
    values = {
        "model": "few_state",
        "symbol": "XYZ",
        "parameters": {
            "transmat": rng.random((4, 3, 3)) * 10.0 ** rng.integers(-300, 300, (4, 3, 3)),
            "dof": np.array(0.1 + 0.2),
            "scale": np.array([5e-324, 1.0 / 3.0, 1.7976931348623157e308]),
        },
        "log_likelihood": -1.0 / 3.0,
        "n_iter": 12,
        "converged": True,
        "trained_from": np.datetime64("2020-01-02"),
        "trained_through": np.datetime64("2024-03-01"),
        "known_through": np.datetime64("2024-03-01"),
        "n_sessions": 1000,
        "fingerprint": "0" * 64,
    }
    return FittedModel(**(values | changed))


def test_json_brings_back_every_bit():
    fitted = make()
    again = FittedModel.from_json(fitted.to_json())
    assert set(again.parameters) == set(fitted.parameters)
    for name, values in fitted.parameters.items():
        assert again.parameters[name].tobytes() == values.tobytes()
        assert again.parameters[name].shape == values.shape
    for field in dataclasses.fields(FittedModel):
        if field.name != "parameters":
            value = getattr(again, field.name)
            assert value == getattr(fitted, field.name)
            assert type(value) is type(getattr(fitted, field.name))
    assert again.trained_through.dtype == np.dtype("datetime64[D]")
    assert again.to_json() == fitted.to_json()


def test_parameters_cannot_be_written_to():
    for fitted in (make(), FittedModel.from_json(make().to_json())):
        with pytest.raises(ValueError, match="read-only"):
            fitted.parameters["scale"][0] = 1.0


@pytest.mark.parametrize("cut", [0, 1, 50, 500, -1])
def test_a_record_cut_short_is_refused(cut):
    with pytest.raises(ValueError):
        FittedModel.from_json(make().to_json()[:cut])


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(FittedModel)])
def test_a_record_without_one_of_its_fields_is_refused(field):
    record = json.loads(make().to_json())
    del record[field]
    with pytest.raises((KeyError, TypeError)):
        FittedModel.from_json(json.dumps(record))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("parameters", {"scale": [1.0, "wide"]}),
        ("parameters", {"scale": [[1.0], [1.0, 2.0]]}),
        ("trained_through", "2024-13-45"),
        ("unknown", 1),
    ],
)
def test_a_record_with_a_damaged_field_is_refused(field, value):
    record = json.loads(make().to_json()) | {field: value}
    with pytest.raises((ValueError, TypeError)):
        FittedModel.from_json(json.dumps(record))


@pytest.mark.parametrize("text", ["[]", "null", "3", '"few_state"', "not json"])
def test_text_that_is_no_record_is_refused(text):
    with pytest.raises((ValueError, TypeError)):
        FittedModel.from_json(text)


def test_the_fingerprint_names_model_symbol_and_prices():
    names = {
        fingerprint(model, symbol, prices)
        for model in ("few_state", "few_state_static")
        for symbol in ("XYZ", "ABC")
        for prices in ("ab", "ac")
    }
    assert len(names) == 8
    assert all(len(name) == 64 and set(name) <= set("0123456789abcdef") for name in names)
    assert fingerprint("few_state", "XYZ", "ab") in names


def test_the_fingerprint_names_the_code(tmp_path):
    copy = tmp_path / "belief"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "data"))
    before = fingerprint_of_copy(tmp_path)
    assert fingerprint_of_copy(tmp_path) == before
    with (copy / "drift.py").open("a", encoding="utf-8") as file:
        file.write("# one more line\n")
    assert fingerprint_of_copy(tmp_path) != before


def fingerprint_of_copy(folder):
    code = (
        "from belief.fitted_model import fingerprint; print(fingerprint('few_state', 'XYZ', 'ab'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
