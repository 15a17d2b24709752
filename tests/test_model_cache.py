import dataclasses
import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from belief import model_cache
from belief.errors import FitError, UsageError
from belief.model_cache import cached_fit
from belief.models import fit, fit_fingerprint
from belief.sources import load_prices

MODEL = "few_state_static"


@pytest.fixture(scope="module")
def prices():
    return load_prices("NVDA").until(np.datetime64("2000-06-30"))


@pytest.fixture(scope="module")
def fresh(prices):
    return fit(MODEL, prices).to_json()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The cache's folder; it does not exist yet."""
    monkeypatch.setenv("BELIEF_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entries(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def sealed(text):
    """A record as the cache keeps it: its SHA-256, a line break, itself."""
    return hashlib.sha256(text.encode()).hexdigest() + "\n" + text


def test_the_first_fit_is_written_once_under_its_fingerprint(folder, prices, fresh):
    assert cached_fit(MODEL, prices).to_json() == fresh
    (path,) = entries(folder)
    assert path.name == f"{fit_fingerprint(MODEL, prices)}.json"
    assert path.read_text(encoding="utf-8") == sealed(fresh)


def test_the_second_fit_is_read_from_the_file(folder, prices, fresh):
    cached_fit(MODEL, prices)
    (path,) = entries(folder)
    record = json.loads(fresh) | {"n_iter": 987_654}
    path.write_text(sealed(json.dumps(record)), encoding="utf-8")
    before = path.stat()
    assert cached_fit(MODEL, prices).n_iter == 987_654
    after = path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_fit_that_was_read_is_the_one_that_was_made_bit_for_bit(folder, prices):
    made, read = cached_fit(MODEL, prices), cached_fit(MODEL, prices)
    assert made is not read
    assert made.to_json() == read.to_json()
    for name, values in made.parameters.items():
        assert read.parameters[name].tobytes() == values.tobytes()


def spoil(text, how):
    record = json.loads(text)
    return {
        "empty": "",
        "truncated": text[: len(text) // 2],
        "not json": "\x00\x01 not json",
        "not a record": "[1, 2, 3]",
        "without parameters": json.dumps({k: v for k, v in record.items() if k != "parameters"}),
        "parameters not a mapping": json.dumps(record | {"parameters": [1.0]}),
        "of other prices": sealed(json.dumps(record | {"fingerprint": "0" * 64})),
        "with another number": sealed(text).replace(str(record["n_iter"]), "987654"),
    }[how].encode()


@pytest.mark.parametrize(
    "how",
    [
        "empty",
        "truncated",
        "not json",
        "not a record",
        "without parameters",
        "parameters not a mapping",
        "of other prices",
        "with another number",
    ],
)
def test_a_spoilt_entry_is_fitted_again_and_mended(folder, prices, fresh, how):
    (folder / "fits").mkdir(parents=True)
    path = folder / "fits" / f"{fit_fingerprint(MODEL, prices)}.json"
    path.write_bytes(spoil(fresh, how))
    assert cached_fit(MODEL, prices).to_json() == fresh
    assert path.read_text(encoding="utf-8") == sealed(fresh)
    assert entries(folder) == [path]


def test_bytes_that_are_no_text_are_fitted_again(folder, prices, fresh):
    (folder / "fits").mkdir(parents=True)
    path = folder / "fits" / f"{fit_fingerprint(MODEL, prices)}.json"
    path.write_bytes(b"\xff\xfe\x80")
    assert cached_fit(MODEL, prices).to_json() == fresh


def test_a_folder_that_cannot_be_made_costs_no_answer(folder, prices, fresh):
    folder.write_text("a file where the folder should be", encoding="utf-8")
    assert cached_fit(MODEL, prices).to_json() == fresh
    assert folder.read_text(encoding="utf-8") == "a file where the folder should be"


def test_an_entry_that_cannot_be_replaced_leaves_no_half_of_one(folder, prices, fresh):
    in_the_way = folder / "fits" / f"{fit_fingerprint(MODEL, prices)}.json"
    in_the_way.mkdir(parents=True)
    assert cached_fit(MODEL, prices).to_json() == fresh
    assert entries(folder) == []


def test_models_and_days_have_entries_of_their_own(folder, prices):
    earlier = prices.until(np.datetime64("2000-06-29"))
    assert cached_fit(MODEL, prices).trained_through == np.datetime64("2000-06-30")
    assert cached_fit(MODEL, earlier).trained_through == np.datetime64("2000-06-29")
    assert cached_fit("few_state", prices).model == "few_state"
    assert len(entries(folder)) == 3


def test_the_same_prices_under_another_symbol_keep_their_symbol(folder, prices):
    cached_fit(MODEL, prices)
    renamed = dataclasses.replace(prices, symbol="XYZ", name="Xyz")
    assert cached_fit(MODEL, renamed).symbol == "XYZ"


def test_what_cannot_be_fitted_is_not_cached(folder, prices):
    with pytest.raises(UsageError, match="no model 'oracle'"):
        cached_fit("oracle", prices)
    with pytest.raises(FitError, match="too few"):
        cached_fit(MODEL, prices.until(np.datetime64("1999-12-31")))
    assert entries(folder) == []


def test_threads_take_turns_at_fitting_and_read_what_another_has_fitted(
    folder, prices, monkeypatch
):
    others, fits, at_once = prices.until(prices.session[-20]), [], []

    def slowly(model, known):
        at_once.append(known)
        time.sleep(0.05)
        fits.append(len(at_once))
        made = fit(model, known)
        at_once.pop()
        return made

    monkeypatch.setattr(model_cache, "fit", slowly)
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda each: cached_fit(MODEL, each), [prices, others] * 2))
    assert fits == [1, 1]
    assert made[0].to_json() == made[2].to_json() != made[1].to_json() == made[3].to_json()
