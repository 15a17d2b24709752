"""Write sections of text, tables and pictures as one page of HTML, or as Markdown.

Everything that is text is escaped here, wherever it came from; only pictures are markup.
"""

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from belief_tools.terminal import one_line, printable

PICTURE: Final = "picture, wider than a small screen"
MARKS: Final = re.compile(r"([\\`*_{}\[\]|~#$])")  # that Markdown would obey
LIGHT: Final = """--ink: #1b1b1b; --paper: #ffffff; --quiet: #595959;
  --line: #d0d0d0; --band: #f3f5f7; --blue: #0072b2; --sky: #56b4e9;"""
DARK: Final = """--ink: #e6e6e6; --paper: #16181b;
  --quiet: #a8a8a8; --line: #43474d; --band: #20242a; --blue: #4a9ce8;
  --sky: #a6dcff;"""
STYLE_OF_SECTIONS: Final = """.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .85rem; }
caption { text-align: left; color: var(--quiet); padding-bottom: .3rem;
  position: sticky; left: 0; max-width: calc(100vw - 2.5rem); }
th, td { padding: .25rem .45rem; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; white-space: nowrap; font-variant-numeric: tabular-nums; }
thead th { background: var(--band); white-space: normal; vertical-align: bottom; }
.words { text-align: left; }
summary { color: var(--quiet); font-size: .88rem; cursor: pointer; margin: .6rem 0; }
.prose { text-align: left; white-space: pre-wrap; overflow-wrap: anywhere; min-width: 24rem; }
figure { margin: 1rem 0; } figure .wide { margin: 0; }
figcaption { color: var(--quiet); font-size: .88rem; }
figure svg { display: block; width: 100%; min-width: 36rem; height: auto;
  color: var(--ink); }
"""
STYLE: Final = f"""
:root {{ color-scheme: light dark; {LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{ {DARK} }} }}
body {{ color: var(--ink); background: var(--paper); font: 16px/1.5 system-ui, sans-serif;
  max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }}
.headline {{ border-left: .3rem solid var(--quiet); padding-left: 1rem; }}
.headline strong {{ font-size: 1.2rem; display: block; }}
.headline span {{ display: block; }} .headline span::first-letter {{ text-transform: uppercase; }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.25rem; margin-top: 2.5rem; }}
{STYLE_OF_SECTIONS}"""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        caption: what it shows.
        head: names of the columns.
        rows: cells as text.
        n_words: number of leading columns with words, not figures.
        prose: whether the last column is a text of somebody, of any length.
        folded: whether a page shows its caption alone until it is opened.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    n_words: int = 1
    prose: bool = False
    folded: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture.

    Attributes:
        svg: an <svg> element that refers to nothing outside.
        alt: what is to be seen, for those who do not see it.
        caption: what it shows.
    """

    svg: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        title: its heading.
        words: paragraphs.
        tables: below them.
        pictures: below those; Markdown has none.
    """

    title: str
    words: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = field(default=())


@dataclass(frozen=True)
class Claim:
    """What stands first.

    Attributes:
        claim: a sentence without its end.
        grounds: the figures behind it; "" where there are none.
        mark: between the two: a colon, or a full stop where the grounds are sentences themselves.
    """

    claim: str
    grounds: str = ""
    mark: str = ":"

    def __str__(self) -> str:
        """The whole sentence."""
        return f"{self.claim}{f'{self.mark} ' if self.grounds else ''}{self.grounds}."


def as_html(title: str, headline: Sequence[Claim], sections: Iterable[Section]) -> str:
    """Write a page that needs nothing but itself.

    Args:
        title: of the page.
        headline: what stands first.
        sections: in order.
    """
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        f'<head><meta charset="utf-8"><title>{_escaped(title)}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{STYLE}</style></head>",
        "<body>",
        *map(_claim, headline),
        f"<h1>{_escaped(title)}</h1>",
    ]
    return "\n".join([*parts, *map(section_html, sections), "</body>", "</html>", ""])


def section_html(section: Section, *, level: int = 2, name: str | None = None) -> str:
    """Write a section as it stands in a page.

    Args:
        section: what to write.
        level: of its heading.
        name: its id, for a page on which it is reached by that. Its heading then names it, and its
            boxes that scroll can be reached by keyboard.

    Example:
        >>> print(section_html(Section("A < B", ["so"]), level=3, name="compared"))
        <section id="compared" aria-labelledby="compared-title">
        <h3 id="compared-title">A &lt; B</h3>
        <p>so</p>
        </section>
    """
    begun = f"<section><h{level}>"
    if name is not None:
        known = f'id="{name}" aria-labelledby="{name}-title"'
        begun = f'<section {known}>\n<h{level} id="{name}-title">'
    parts = [f"{begun}{_escaped(section.title)}</h{level}>"]
    parts += [f"<p>{_escaped(words)}</p>" for words in section.words]
    parts += [_table(table, name is not None) for table in section.tables]
    parts += [_figure(picture, name is not None) for picture in section.pictures]
    return "\n".join([*parts, "</section>"])


def as_markdown(title: str, headline: Sequence[Claim], sections: Iterable[Section]) -> str:
    """Write the same without pictures.

    Args:
        title: of the page.
        headline: what stands in the first line.
        sections: in order; those with nothing but pictures are left out.
    """
    parts = [marked_off(" ".join(map(str, headline))), f"# {marked_off(title)}"]
    for section in sections:
        if section.tables or not section.pictures:
            parts += [f"## {marked_off(section.title)}", *map(marked_off, section.words)]
        for table in section.tables:
            rows = [table.head, ["---"] * len(table.head), *table.rows]
            lines = [_markdown_row(row, rule=i == 1) for i, row in enumerate(rows)]
            parts += [f"{marked_off(table.caption)}:", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def marked_off(text: str) -> str:
    r"""Text in one line that Markdown shows as it stands.

    Example:
        >>> print(marked_off("a|b <script> *x*"))
        a\|b &lt;script&gt; \*x\*
    """
    return MARKS.sub(r"\\\1", html.escape(one_line(text), quote=False))


def _markdown_row(cells: Sequence[str], *, rule: bool) -> str:
    return "| " + " | ".join(cells if rule else map(marked_off, cells)) + " |"


def _claim(first: Claim) -> str:
    claim, grounds = _escaped(first.claim), _escaped(first.grounds)
    if not grounds:
        return f'<p class="headline"><strong>{claim}.</strong></p>'
    return f'<p class="headline"><strong>{claim}{first.mark}</strong> <span>{grounds}.</span></p>'


def _table(table: Table, reached: bool) -> str:
    head = "".join(
        f'<th scope="col"{_kind(table, i)}>{_escaped(cell)}</th>'
        for i, cell in enumerate(table.head)
    )
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{_kind(table, i)}>{_escaped(cell)}</td>" for i, cell in enumerate(row))
        + "</tr>"
        for row in table.rows
    )
    caption = _escaped(table.caption)
    named = "" if table.folded else f"<caption>{caption}</caption>"
    whole = (
        f"{_box(table.caption, reached)}<table>{named}\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )
    return f"<details><summary>{caption}</summary>{whole}</details>" if table.folded else whole


def _kind(table: Table, column: int) -> str:
    if table.prose and column == len(table.head) - 1:
        return ' class="prose"'
    return ' class="words"' if column < table.n_words else ""


def _box(label: str, reached: bool) -> str:
    """Begin a box that scrolls sideways."""
    keyboard = f' role="group" tabindex="0" aria-label="{_escaped(label)}"' if reached else ""
    return f'<div class="wide"{keyboard}>'


def _figure(picture: Picture, reached: bool) -> str:
    svg = picture.svg.replace("<svg", f'<svg role="img" aria-label="{_escaped(picture.alt)}"', 1)
    caption = f"<figcaption>{_escaped(picture.caption)}</figcaption>"
    return f"<figure>{_box(PICTURE, reached)}{svg}</div>\n{caption}</figure>"


def _escaped(text: str) -> str:
    """Text as HTML; what does not print is a blank."""
    return html.escape(printable(text))
