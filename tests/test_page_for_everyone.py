"""The page for everyone: on a phone, in the dark, by keyboard alone, and read aloud."""

import pytest
from browsed import DESK, PHONE, QUESTION, findings, page_server, speaks, talking_server
from playwright.sync_api import expect
from published import FIRST

from belief_tools.looks import Place

PAST = "2024-05-15"
FOCUSED = """() => {
  const host = document.activeElement, e = host.shadowRoot?.activeElement ?? host;
  const s = getComputedStyle(e);
  return {id: host.id, tag: e.tagName, words: (e.textContent || e.ariaLabel || '').trim(),
    outline: s.outlineStyle === 'auto' || s.boxShadow !== 'none'
      || s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2}
}"""
OVERFLOWING = """() => [...document.querySelectorAll('body *')].filter(e => {
  const box = e.getBoundingClientRect();
  if (!box.width || !box.height || getComputedStyle(e).visibility === 'hidden') return false;
  for (let up = e.parentElement; up; up = up.parentElement)
    if (getComputedStyle(up).overflowX !== 'visible') return false;
  return box.right > innerWidth + 1 || (box.left < -1 && box.right > 0);
}).map(e => e.outerHTML.slice(0, 100))"""


@pytest.fixture(scope="module")
def served(kept):
    with talking_server(speaks()) as each:
        each.shared.looks.look(Place("NVDA"))
        yield each


def colours(visit):
    return visit.page.evaluate(
        "() => [document.body, document.querySelector('h1')].map(e => getComputedStyle(e))"
        ".flatMap(s => [s.backgroundColor, s.color])"
    )


def unfold(visit):
    visit.page.locator("details").evaluate_all("all => all.forEach(e => e.open = true)")


# Read aloud, and seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_serious(served, visiting, viewport, scheme):
    visit = visiting(served.url, viewport=viewport, color_scheme=scheme, bypass_csp=True).open()
    visit.looks(FIRST)
    assert findings(visit.page) == []
    visit.ask()
    unfold(visit)
    assert findings(visit.page) == []
    visit.page.locator("#chat").get_by_role("link", name="entry").click()
    expect(visit.page.locator("h1")).to_contain_text("Ledger entry")
    assert findings(visit.page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_form_for_the_token(kept, visiting, scheme):
    with page_server(lambda: None, token="open-sesame-1234567890") as locked:
        visit = visiting(locked.url, color_scheme=scheme, bypass_csp=True)
        visit.page.goto(locked.url)
        visit.problems.clear()  # 401
        assert findings(visit.page) == []


def test_dark_is_dark_and_can_be_chosen(served, visiting):
    light, dark = (visiting(served.url, color_scheme=each).open() for each in ("light", "dark"))
    assert colours(light)[0] != colours(dark)[0] and colours(light)[1] != colours(dark)[1]
    light.page.get_by_role("button", name="dark mode").click()
    assert colours(light) == colours(dark)
    inks = [
        each.page.locator(".place.forecast svg").first.evaluate(
            "e => [...e.querySelectorAll('path, text')].map(p => getComputedStyle(p).fill).join()"
        )
        for each in (light, visiting(served.url, color_scheme="light").open())
    ]
    assert inks[0] != inks[1]


def test_every_picture_has_its_figures_in_text(served, visiting):
    visit = visiting(served.url).open()
    visit.looks(FIRST)
    pictures = visit.page.locator("main figure")
    assert pictures.count() >= 7
    for each in pictures.all():
        label = each.locator("svg[role=img]").get_attribute("aria-label")
        assert any(letter.isdigit() for letter in label)
        assert label in each.locator("figcaption").inner_text()


# On a phone


def test_on_a_phone_nothing_is_wider_than_the_page(served, visiting):
    visit = visiting(served.url, viewport=PHONE).open()
    visit.looks(FIRST)
    visit.ask()
    unfold(visit)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert visit.page.evaluate(OVERFLOWING) == []
    for name in ("Session before", "Newest", "Mark", "Record my view", "Refit now", "Send message"):
        button = visit.page.get_by_role("button", name=name, exact=True)
        button.scroll_into_view_if_needed()
        box = button.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]
        assert min(box["width"], box["height"]) >= 24


# By keyboard alone


def tab_to(visit, found, most=60):
    """Press Tab until something is focused that is wanted; everything on the way is visible."""
    passed = []
    for _ in range(most):
        visit.page.keyboard.press("Tab")
        focused = visit.page.evaluate(FOCUSED)
        passed.append(focused["id"] or focused["words"][:30] or focused["tag"])
        assert focused["outline"], f"no sign of focus at the last of {passed}"
        if found in (focused["id"], focused["words"]):
            return
    raise AssertionError(f"{found} is none of {passed}")


def test_by_keyboard_the_question_is_one_key_away_and_its_answer_unfolds(served, visiting):
    visit = visiting(served.url).open()
    visit.looks(FIRST)
    tab_to(visit, "Skip to the question", most=1)
    assert visit.page.get_by_text("Skip to the question").is_visible()
    visit.page.keyboard.press("Enter")
    for _ in range(6):
        visit.page.keyboard.press("Tab")
        if visit.editor.evaluate("e => e === document.activeElement"):
            break
    visit.page.keyboard.type(QUESTION)
    visit.page.keyboard.press("Enter")
    visit.wait_for_answer()
    visit.page.locator("#ask").focus()
    tab_to(visit, "Tool call: forecast_price")
    visit.page.keyboard.press("Enter")
    assert visit.answer.locator(".answer-fields").first.is_visible()
    tab_to(visit, "New conversation")
    visit.page.keyboard.press("Enter")
    expect(visit.answers).to_have_count(0)


def test_by_keyboard_symbol_and_session_are_picked(served, visiting):
    visit = visiting(served.url).open()
    visit.looks(FIRST)
    tab_to(visit, "symbol")
    visit.page.keyboard.press("Tab")
    visit.page.keyboard.press("Control+a")
    visit.page.keyboard.type(PAST)
    visit.page.keyboard.press("Enter")
    visit.looks(PAST)
    tab_to(visit, "Newest")
    visit.page.keyboard.press("Enter")
    visit.looks(FIRST)
    tab_to(visit, "mode", most=6)
