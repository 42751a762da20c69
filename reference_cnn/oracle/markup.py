"""HTML that is escaped by construction: text becomes markup in one place only."""

from html import escape


class Markup(str):
    """HTML that is safe as it stands; any other str is text."""

    __slots__ = ()


def printable(text: str) -> str:
    """Without control and direction characters and lone surrogates, which no document can hold or ought to obey."""
    return "".join(c if c in "\n\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def markup(content: str) -> Markup:
    """Markup as it is; text with everything escaped that HTML could take for more than text."""
    return content if isinstance(content, Markup) else Markup(escape(printable(content), quote=True))


def tag(name: str, *content: str, **attributes: str | float) -> Markup:
    """One element: text in it and in its attributes is escaped; `class_` stands for `class`, `_` for a hyphen."""
    named = "".join(f' {k.rstrip("_").replace("_", "-")}="{markup(str(v))}"' for k, v in attributes.items())
    return Markup(f"<{name}{named}>{''.join(map(markup, content))}</{name}>")
