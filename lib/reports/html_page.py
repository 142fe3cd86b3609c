"""A page to print, made from Markdown: one file of HTML with its style and images inside, without scripts or links."""

from __future__ import annotations

from collections.abc import Collection, MutableMapping, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape

# Read on paper as on a screen; nothing is fetched from anywhere.
_STYLE = Markup("""
:root { color-scheme: light; }
body { font: 11pt/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: #16202a; background: #fff;
  max-width: 186mm; margin: 12mm auto; padding: 0 4mm; overflow-wrap: break-word; }
h1 { font-size: 20pt; line-height: 1.2; margin: 0 0 2mm; }
h2 { font-size: 14pt; margin: 9mm 0 2mm; padding-bottom: 1mm; border-bottom: 1px solid #b9c2cc; }
h3 { font-size: 11.5pt; margin: 5mm 0 1mm; }
p, ul, ol { margin: 1.5mm 0; } ul, ol { padding-left: 6mm; } li { margin: 0.8mm 0; }
small, h1 + p, body > p:last-child { color: #4d5a67; font-size: 9.5pt; }
h1 + p + h2 + ul > li:first-child { font-size: 12.5pt; }
table { border-collapse: collapse; width: 100%; margin: 2mm 0; font-size: 10pt; }
th, td { text-align: left; vertical-align: top; padding: 1.3mm 2.5mm 1.3mm 0; border-bottom: 1px solid #dde2e7; }
th { font-weight: 600; color: #33404d; }
td:last-child, li, h1, h3 { overflow-wrap: anywhere; }
img { display: block; width: 100%; height: auto; }
code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 9pt; }
@page { size: A4; margin: 16mm 14mm; }
@media print { body { max-width: none; margin: 0; padding: 0; } h2, h3 { break-after: avoid; }
  img, tr, li { break-inside: avoid; } }
""")

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def html_page(title: str, markdown: str, images: Collection[str] = ()) -> str:
    """Return a whole page that shows `markdown`. HTML in it shows as text.

    `images` are the addresses, with the image itself inside, that may be shown. Every other link or image in the
    Markdown shows as text, so that a mistake in escaping makes nothing come alive.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.validateLink = lambda url: url in images  # type: ignore[method-assign]
    parser.add_render_rule("image", _image_with_caption)
    return str(
        Markup(
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta http-equiv="Content-Security-Policy" content="{}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            "<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n{}</body>\n</html>\n"
        ).format(_POLICY, title, _STYLE, Markup(parser.render(markdown)))  # noqa: S704 - the parser escapes all HTML
    )


def _image_with_caption(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    """Return the image, and below it in words what it shows."""
    image = renderer.image(tokens, index, options, env)
    return f"{image}<small>{escape(tokens[index].content)}</small>"
