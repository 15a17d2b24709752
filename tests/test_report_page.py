from pages import Page

from belief_tools.report_page import Picture, Section, Table, as_html, section_html

SVG = '<svg viewBox="0 0 1 1"></svg>'
SECTION = Section(
    "Five < six",
    ["It is & was."],
    [Table("In <figures>", ["a", "b"], [["1", "2"]]), Table("More", ["c"], [["3"]], folded=True)],
    [Picture(SVG, "four", "What it shows")],
)


def test_a_section_stands_in_a_page_as_it_stands_alone():
    alone = section_html(SECTION)
    assert alone in as_html("A page", [], [SECTION])
    assert alone.startswith("<section><h2>Five &lt; six</h2>\n<p>It is &amp; was.</p>\n")
    assert alone.endswith("</figure>\n</section>")
    assert "tabindex" not in alone and " id=" not in alone


def test_a_section_with_a_name_is_reached_by_it_and_named_by_its_heading():
    page = Page(section_html(SECTION, level=3, name="five"))
    assert ("section", "id", "five") in page.attributes
    assert ("section", "aria-labelledby", "five-title") in page.attributes
    assert ("h3", "id", "five-title") in page.attributes and "h2" not in page.tags


def test_what_scrolls_in_a_section_with_a_name_is_reached_by_keyboard():
    page = Page(section_html(SECTION, name="five"))
    boxes = page.tags.count("div")
    assert boxes == 3
    reached = [(name, value) for tag, name, value in page.attributes if tag == "div"]
    assert reached.count(("tabindex", "0")) == reached.count(("role", "group")) == boxes
    labels = [value for name, value in reached if name == "aria-label"]
    assert labels[:2] == ["In <figures>", "More"] and len(labels) == boxes
