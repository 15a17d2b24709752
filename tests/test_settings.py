"""belief.toml: below the environment, above the defaults, and never with a secret."""

import pytest

from belief.errors import UsageError
from belief_tools import settings
from belief_tools.settings import apply_file, in_force


@pytest.fixture
def folders(tmp_path, monkeypatch):
    here, user = tmp_path / "here", tmp_path / "user"
    here.mkdir()
    user.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(settings.platformdirs, "user_config_path", lambda *_, **__: user)
    return here, user


def write(folder, text):
    (folder / "belief.toml").write_text(text, "utf-8")


def test_without_a_file_nothing_changes(folders):
    environ = {"OPENAI_MODEL": "a"}
    assert apply_file(environ) == {}
    assert environ == {"OPENAI_MODEL": "a"}


def test_the_environment_wins_over_the_file_and_this_folder_over_the_users(folders):
    here, user = folders
    write(here, '[belief]\nmodel = "near"\nstore = "near.db"\n')
    write(user, '[belief]\nstore = "far.db"\nbase_url = "http://127.0.0.1:1/v1"\n')
    environ = {"OPENAI_MODEL": "named"}
    taken = apply_file(environ)
    assert environ == {
        "OPENAI_MODEL": "named",
        "BELIEF_STORE": "near.db",
        "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
    }
    assert set(taken) == {"BELIEF_STORE", "OPENAI_BASE_URL"}
    sources = {each.variable: each.source for each in in_force(environ, taken)}
    assert sources["BELIEF_STORE"] == "belief.toml"
    assert sources["OPENAI_BASE_URL"] == str(user / "belief.toml")
    assert sources["OPENAI_MODEL"] == "environment"
    assert sources["BELIEF_CACHE_DIR"] == "default"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[belief]\napi_key = "sk-planted"\n', "secrets come from the environment"),
        ('[belief]\nopenai_api_key = "sk-planted"\n', "secrets come from the environment"),
        ('[belief]\nmodle = "x"\n', "modle, which is no setting; there are store"),
        ("[belief]\nmodel = 3\n", "model to 3"),
        ('[belief]\nmodel = ""\n', "give a text"),
        ('model = "x"\n', "more than the table"),
        ("[belief\n", "is not TOML"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_without_its_secret(folders, text, words):
    write(folders[0], text)
    with pytest.raises(UsageError, match=r"belief\.toml") as error:
        apply_file({})
    assert words in str(error.value)
    assert "sk-planted" not in str(error.value)


def test_the_key_is_listed_as_set_and_never_shown():
    listed = in_force({"OPENAI_API_KEY": "sk-planted"}, {})
    assert ("OPENAI_API_KEY", "set", "environment") in listed
    assert "sk-planted" not in str(listed)
