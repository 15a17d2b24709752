"""A page of HTML taken apart, to see what it holds."""

from html.parser import HTMLParser

VOID = {"meta", "br", "img", "input", "link", "hr"}


class Page(HTMLParser):
    """Tags, attributes, text and tables of a page; complains of tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []
        self.tables = {}
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("caption", "summary"):
            self.rows = []
        if tag == "tr":
            self.rows.append([])

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip() and self.open[-1:] not in (["style"], ["title"]):
            self.text.append(" ".join(data.split()))
        if self.open[-1:] in (["caption"], ["summary"]):
            self.tables[data] = self.rows
        if self.open[-1:] in (["td"], ["th"]):
            self.rows[-1].append(data)

    def table(self, begins):
        """Rows of the one table whose caption begins so, as column -> cell."""
        [(head, *rows)] = [rows for named, rows in self.tables.items() if named.startswith(begins)]
        return [dict(zip(head, row, strict=True)) for row in rows]
