"""A report as one HTML file that needs nothing else: pictures inline, no script, every text escaped."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.tui.report.blocks import Block
from tunesmith.tui.report.curves import STYLE
from tunesmith.tui.texts import language

LANGUAGE_TAGS = {"en": "en", "zh": "zh-CN"}
PAGE_STYLE = """
:root { color-scheme: light dark; --ink: #24262b; --faint: #6d6f76; --paper: #faf8f4; --panel: #f1eee7; --line: #d9d4ca;
        --accent: #a8530b; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e4e0d8; --faint: #9b9a97; --paper: #16171a; --panel: #1d1f23; --line: #3a3e46; --accent: #f2a65a; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1040px; padding: 2rem 1.5rem 4rem; background: var(--paper); color: var(--ink);
       font: 15px/1.55 system-ui, "Noto Sans CJK SC", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; padding-top: .8rem; border-top: 1px solid var(--line);
     color: var(--accent); }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { margin: .3rem 0; white-space: pre-line; }
.table { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line);
         white-space: pre-line; min-width: 5rem; }
th { color: var(--faint); font-weight: 600; }
th.figure, td.figure { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { background: var(--panel); padding: .7rem .9rem; overflow-x: auto; white-space: pre-wrap; font-size: .85rem; }
summary { cursor: pointer; color: var(--faint); margin: .6rem 0; }
figure { margin: 1rem 0; } figure svg { max-width: 100%; height: auto; }
footer { margin-top: 3rem; color: var(--faint); font-size: .85rem; }
@media print {
  @page { margin: 15mm; }
  :root { --paper: #fff; --panel: #fff; }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  tr, figure, pre { break-inside: avoid; } h2, h3 { break-after: avoid; }
  pre { border: 1px solid var(--line); }
}
"""
TEMPLATE = """<!doctype html>
<html lang="{{ language }}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
{%- for kind, block in blocks %}
{%- if kind == "Heading" %}
<h{{ block.level }}>{{ block.text }}</h{{ block.level }}>
{%- elif kind == "Paragraph" %}
<p>{% if block.mark %}{{ block.mark }} {% endif %}{{ block.text }}</p>
{%- elif kind == "Table" %}
<div class="table"><table>
<thead><tr>{% for cell in block.head %}
<th{% if loop.index0 in block.figures %} class="figure"{% endif %}>{{ cell }}</th>
{%- endfor %}</tr></thead>
<tbody>
{%- for row in block.rows %}
<tr>{% for cell in row %}
<td{% if loop.index0 in block.figures %} class="figure"{% endif %}>{{ cell }}</td>
{%- endfor %}</tr>
{%- endfor %}
</tbody></table></div>
{%- elif kind == "Picture" %}
<figure>{{ block.svg | safe }}</figure>
{%- elif block.title %}
<details{% if block.text | length < 1500 %} open{% endif %}><summary>{{ block.title }}</summary>
<pre>{{ block.text }}</pre></details>
{%- else %}
<pre>{{ block.text }}</pre>
{%- endif %}
{%- endfor %}
<footer>{{ footer }}</footer>
</body>
</html>
"""


def page(title: str, blocks: Sequence[Block], footer: str) -> str:
    """Only pictures go in as they are: `curves` draws them, and escapes what they say."""
    import jinja2

    environment = jinja2.Environment(autoescape=True)
    return environment.from_string(TEMPLATE).render(
        language=LANGUAGE_TAGS[language()],
        title=title,
        style=STYLE + PAGE_STYLE,
        blocks=[(type(block).__name__, block) for block in blocks],
        footer=footer,
    )
