"""`belief doctor`: what it sees of settings, store and language model, and what it never shows."""

import json

import pytest
from chat_server import KEY, Answer, chat_server, stream, structured, text, tool_call
from daily import belief, evening, short_history
from stored import day, made, opened

from belief.store import save_prices
from belief_tools import probe

AT = evening(day("2024-06-03"))
PLANTED = "sk-planted-5d1f0c"


def able(request):
    """A server that does everything it is asked for."""
    if request.body.get("stream"):
        return stream("one", " two", " three")
    if request.body.get("tools"):
        return tool_call("forecast_price", {"symbol": "NVDA"})
    return structured({"price": 1.0}) if request.schema_name else text("OK")


def unable(request):
    """A server that only talks."""
    return stream("all at once") if request.body.get("stream") else text("I think so.")


def found_by(script):
    with chat_server(script) as server:
        return {each.name: each for each in probe.probe(server.endpoint())}


def test_a_server_that_can_do_everything_passes_everything():
    found = found_by(able)
    assert [each.name for each in found.values() if not each.works] == []
    assert "3 pieces" in found["streaming"].seen


def test_what_a_server_cannot_do_is_named_with_advice():
    found = found_by(unable)
    assert found["reachable"].works
    for name in ("tool calls", "forced tool choice", "JSON schema", "streaming"):
        assert not found[name].works and found[name].advice


def test_a_server_that_fails_on_one_ability_is_asked_for_the_others():
    def refusing(request):
        return Answer(b"{}", status=400) if request.body.get("tools") else able(request)

    found = found_by(refusing)
    assert not found["tool calls"].works and found["JSON schema"].works


def test_a_server_that_is_not_there_is_all_that_is_said():
    with chat_server(able) as server:
        gone = server.endpoint(retries=0)
    [only] = probe.probe(gone)
    assert only.name == "reachable" and not only.works and KEY not in only.seen


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BELIEF_STORE", str(tmp_path / "belief.db"))
    monkeypatch.setenv("OPENAI_API_KEY", PLANTED)
    monkeypatch.setenv("OPENAI_MODEL", "test-model")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def examined(monkeypatch, script, *options):
    with chat_server(script) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.endpoint().base_url)
        return belief("doctor", *options, at=AT)


def test_without_a_store_all_is_well_with_an_able_server(own_folder, monkeypatch):
    done = examined(monkeypatch, able)
    assert done.code == 0, done
    assert "none yet" in done.out and "OPENAI_API_KEY       set (environment)" in done.out
    assert not (own_folder / "belief.db").exists()


def test_prices_without_a_model_are_named_and_make_the_exit_code_one(own_folder, monkeypatch):
    with opened(own_folder) as store, store.write() as connection:
        save_prices(connection, short_history(last=day("2024-06-03")))
    done = examined(monkeypatch, able)
    assert done.code == 1
    assert "! NVDA                 none in service" in done.out
    assert "-> run belief refit NVDA" in done.out


def test_a_damaged_store_is_one_line(own_folder, monkeypatch):
    (own_folder / "belief.db").write_bytes(b"not a database" * 100)
    done = examined(monkeypatch, able)
    assert done.code == 1 and "Traceback" not in done.out + done.err


def test_the_key_is_nowhere_in_what_is_said_or_kept(own_folder, monkeypatch):
    with opened(own_folder) as store, store.write() as connection:
        save_prices(connection, made())

    def indiscreet(request):
        return Answer(f'{{"error": {{"message": "bad key {PLANTED}"}}}}'.encode(), status=401)

    said = examined(monkeypatch, indiscreet)
    said_as_json = examined(monkeypatch, indiscreet, "--json")
    with chat_server(indiscreet) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.endpoint().base_url)
        asked = belief("ask", "What will XYZ cost in a week?", "--symbol", "XYZ", at=AT)
    for each in (said, said_as_json, asked):
        assert PLANTED not in each.out + each.err
    for path in own_folder.rglob("*"):
        assert PLANTED.encode() not in path.read_bytes()
    assert said.code == 1
    json.loads(said_as_json.out)
