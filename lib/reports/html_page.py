"""A page to print: one file of HTML with its style and images inside, without scripts. Every text in it is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

# Read on paper as on a screen; nothing is fetched from anywhere.
_STYLE = Markup("""
:root { color-scheme: light; }
body { font: 11pt/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: #16202a; background: #fff;
  max-width: 186mm; margin: 12mm auto; padding: 0 4mm; overflow-wrap: break-word; }
h1 { font-size: 20pt; line-height: 1.2; margin: 0 0 2mm; }
h2 { font-size: 14pt; margin: 9mm 0 2mm; padding-bottom: 1mm; border-bottom: 1px solid #b9c2cc; }
h3 { font-size: 11.5pt; margin: 5mm 0 1mm; }
p, ul, ol { margin: 1.5mm 0; } ul, ol { padding-left: 6mm; } li { margin: 0.8mm 0; }
small, .quiet { color: #4d5a67; font-size: 9.5pt; }
table { border-collapse: collapse; width: 100%; margin: 2mm 0; font-size: 10pt; }
th, td { text-align: left; vertical-align: top; padding: 1.3mm 2.5mm 1.3mm 0; border-bottom: 1px solid #dde2e7; }
th { font-weight: 600; color: #33404d; }
td b { white-space: nowrap; } td:last-child, li, h1, h3 { overflow-wrap: anywhere; }
figure { margin: 3mm 0; } figure img { width: 100%; height: auto; } figcaption { font-size: 9.5pt; color: #4d5a67; }
code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 9pt; }
.lead { font-size: 12.5pt; }
@page { size: A4; margin: 16mm 14mm; }
@media print { body { max-width: none; margin: 0; padding: 0; } h2, h3 { break-after: avoid; }
  figure, tr, li { break-inside: avoid; } }
""")

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(title: str, body: Markup) -> str:
    """Return a whole page; `body` is made of the pieces below."""
    return str(
        Markup(
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta http-equiv="Content-Security-Policy" content="{}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            "<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n{}\n</body>\n</html>\n"
        ).format(_POLICY, title, _STYLE, body)
    )


def join(parts: Iterable[Markup]) -> Markup:
    return Markup("\n").join(parts)


def heading(level: int, text: str) -> Markup:
    return Markup("<h{0}>{1}</h{0}>").format(level, text)


def paragraph(text: str | Markup, kind: str = "") -> Markup:
    """A paragraph; `kind` is one of the classes of the style."""
    return Markup('<p class="{}">{}</p>').format(kind, text) if kind else Markup("<p>{}</p>").format(text)


def bullets(items: Iterable[str | Markup]) -> Markup:
    return Markup("<ul>{}</ul>").format(Markup("").join(Markup("<li>{}</li>").format(item) for item in items))


def table(heads: Sequence[str], rows: Iterable[Sequence[str | Markup]]) -> Markup:
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(name) for name in heads)
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row))
        for row in rows
    )
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, body)


def picture(uri: str, message: str) -> Markup:
    """An image that is inside of the page, with what it shows in words."""
    return Markup('<figure><img src="{}" alt="{}"><figcaption>{}</figcaption></figure>').format(uri, message, message)
