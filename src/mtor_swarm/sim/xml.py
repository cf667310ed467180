"""XML with line numbers and bounds, so that a mistake in a world file can be pointed at.

No DTD is read: a document type declaration is refused before any entity could expand.
"""

from __future__ import annotations

import math
from typing import Any
from xml.parsers import expat

from mtor_swarm.errors import WorldError

MAX_BYTES = 4 << 20
MAX_DEPTH = 32
MAX_ELEMENTS = 100_000


class Element:
    """One element: tag, attributes, text, children, and where it stands in its file.

    `start` and `end` are byte offsets of the whole element in the text that was parsed. The
    readers below raise WorldError with file, line and element.
    """

    __slots__ = ("attributes", "children", "end", "file", "line", "start", "tag", "text")

    def __init__(
        self, tag: str, attributes: dict[str, str], file: str, line: int, start: int
    ) -> None:
        self.tag = tag
        self.attributes = attributes
        self.file = file
        self.line = line
        self.start = start
        self.end = start
        self.text = ""
        self.children: list[Element] = []

    def error(self, problem: str) -> WorldError:
        """A WorldError that points at this element."""
        return WorldError(f"{self.file}:{self.line}: <{self.tag}>: {problem}")

    def all(self, tag: str) -> list[Element]:
        """The children of this tag."""
        return [each for each in self.children if each.tag == tag]

    def child(self, path: str) -> Element | None:
        """The first element at a path of tags (`a/b`), or None."""
        found = self
        for tag in path.split("/"):
            inner = next((each for each in found.children if each.tag == tag), None)
            if inner is None:
                return None
            found = inner
        return found

    def need(self, path: str) -> Element:
        """The first element at a path of tags; WorldError if there is none."""
        found = self.child(path)
        if found is None:
            raise self.error(f"needs a <{path}> inside")
        return found

    def attribute(self, name: str) -> str:
        """An attribute that must be there and not be empty."""
        value = self.attributes.get(name, "").strip()
        if not value:
            raise self.error(f'needs an attribute {name}="…"')
        return value

    def word(self, path: str, default: str = "") -> str:
        """The text at a path, stripped."""
        found = self.child(path)
        return default if found is None else found.text.strip()

    def flag(self, path: str) -> bool:
        """The truth value at a path, false if there is none."""
        word = self.word(path, "false").lower()
        if word not in ("true", "1", "false", "0"):
            raise self.need(path).error(f"is true or false, not `{word}`")
        return word in ("true", "1")

    def number(self, path: str, default: float, *, above: float = -math.inf) -> float:
        """The finite number at a path, greater than `above`."""
        found = self.child(path)
        if found is None:
            return default
        value = found.values(1)[0]
        if not value > above:
            raise found.error(f"must be greater than {above:g}, not {value:g}")
        return value

    def values(self, *counts: int) -> tuple[float, ...]:
        """The element's text as that many finite numbers."""
        words = self.text.split()
        try:
            found = tuple(float(word) for word in words)
        except ValueError:
            found = ()
        if len(found) not in counts or not all(map(math.isfinite, found)):
            wanted = " or ".join(map(str, counts))
            text = self.text.strip()[:60]
            raise self.error(f"needs {wanted} number{'s' * (counts != (1,))}, not `{text}`")
        return found


def parse(raw: bytes, file: str) -> Element:
    """The root element of an XML text; `file` is what errors call it."""
    if len(raw) > MAX_BYTES:
        raise WorldError(f"{file}: over {MAX_BYTES >> 20} MiB: no world of ours is that large")
    builder = _Builder(raw, file)
    try:
        builder.parser.Parse(raw, True)
    except expat.ExpatError as error:
        why = expat.ErrorString(error.code)
        raise WorldError(f"{file}:{error.lineno}: not valid XML: {why}") from None
    assert builder.root is not None  # expat refuses a text without a root
    return builder.root


class _Builder:
    """Builds the tree from expat's events."""

    def __init__(self, raw: bytes, file: str) -> None:
        self.root: Element | None = None
        self._raw = raw
        self._file = file
        self._open: list[Element] = []
        self._count = 0
        self.parser: Any = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _doctype(self, *_: object) -> None:
        line = self.parser.CurrentLineNumber
        raise WorldError(
            f"{self._file}:{line}: <!DOCTYPE>: declarations and entities are refused; remove it"
        )

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        line, at = self.parser.CurrentLineNumber, self.parser.CurrentByteIndex
        element = Element(tag, attributes, self._file, line, at)
        self._count += 1
        if len(self._open) >= MAX_DEPTH or self._count > MAX_ELEMENTS:
            raise element.error(
                f"nested deeper than {MAX_DEPTH} or more than {MAX_ELEMENTS} elements"
            )
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _end(self, _: str) -> None:
        element, at = self._open.pop(), self.parser.CurrentByteIndex
        bare = not element.children and not element.text and self._raw[at - 2 : at] == b"/>"
        element.end = at if bare else self._raw.index(b">", at) + 1

    def _text(self, text: str) -> None:
        self._open[-1].text += text
