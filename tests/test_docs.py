"""What README and docs print is what the commands print."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def without_age(text):
    """The age of the snapshot grows by the day."""
    return re.sub(r"\d+ days old", "N days old", text)


def test_the_belief_in_the_readme_is_what_belief_now_prints():
    belief = Path(sys.executable).with_name("belief")
    printed = subprocess.run([belief, "now"], capture_output=True, text=True, check=True).stdout
    assert without_age(printed.rstrip()) in without_age((ROOT / "README.md").read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_of_the_repository(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_scripts_that_pages_name_exist(page):
    for script in re.findall(r"benchmarks/\w+\.\w+", page.read_text("utf-8")):
        assert (ROOT / script).exists(), script
