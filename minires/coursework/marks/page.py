"""One student's feedback as a page: no script, nothing from elsewhere, every text escaped."""

from __future__ import annotations

import html
from collections.abc import Sequence

from minires.coursework.result import (
    CaseResult,
    Change,
    OutputResult,
    QuestionResult,
    Result,
)
from minires.text import plain

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 52rem;
  padding: 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 1.8rem 0 .4rem; border-top: 1px solid #8884; padding-top: .8rem; }
h2 span { float: right; font-variant-numeric: tabular-nums; }
.right { color: #1d8a3f; } .wrong { color: #d0342c; }
.case { margin: .5rem 0 .8rem 1rem; }
.case b { font-weight: 600; }
pre { margin: .3rem 0; white-space: pre-wrap; font: 13px/1.45 ui-monospace, monospace; }
.change { border-left: 3px solid #3a7bd5; padding: .2rem .8rem; margin: .4rem 0 .4rem 1rem;
  white-space: pre-wrap; }
.hint { border-left: 3px solid #d98a00; padding: .2rem .8rem; margin: .4rem 0 .4rem 1rem; }
figure { display: inline-block; margin: .3rem 1rem .3rem 0; text-align: center; font-size: 12px; }
img { image-rendering: pixelated; border: 1px solid #8886; display: block; width: 9rem; }
progress { width: 100%; height: .6rem; accent-color: #1d8a3f; }
summary { cursor: pointer; }
"""


def _text(text: str) -> str:
    """Text as HTML; what does not print, such as a mark that turns a line around, as its code."""
    return html.escape("\n".join(map(plain, text.split("\n"))))


def page(result: Result) -> str:
    """The page."""
    title = _text(f"{result.title}: {result.student}")
    body = "".join(_question(question, result.changes) for question in result.questions)
    if result.problem:
        body = f"<p class='wrong'>{_text(result.problem)}</p>"
        body += "".join(_change(change) for change in result.changes if change.question)
    if of_all := result.of_all():
        changes = "".join(map(_change, of_all))
        body = f"<p>The questions: {result.before:g} points</p>{changes}{body}"
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{title}</title><style>{STYLE}</style></head><body>"
        f"<h1>{_text(result.title)}</h1>"
        f"<p>{_text(result.student)}: "
        f"<b>{result.earned:g}</b> of {result.points:g} points</p>"
        f"<progress value='{min(result.earned, result.points):g}' "
        f"max='{result.points or 1:g}'></progress>"
        f"{body}</body></html>\n"
    )


def _change(change: Change) -> str:
    return f"<p class='change'>{_text(change.told())}</p>"


def _question(question: QuestionResult, changes: Sequence[Change] = ()) -> str:
    mark, kind = ("✓", "right") if question.passed else ("✗", "wrong")
    parts = [
        f"<h2 class='{kind}'>{mark} {_text(question.name)}"
        f"<span>{round(question.earned, 2):g} / {question.points:g}</span></h2>"
    ]
    parts += [_change(change) for change in changes if change.question == question.name]
    passed = [case for case in question.cases if case.passed]
    parts += [f"<p class='hint'>{_text(hint)}</p>" for hint in question.hints]
    if blank := question.unanswered:
        parts.append(f"<p class='wrong'>{_text(blank)}</p>")
    else:
        parts += [_case(case) for case in question.cases if not case.passed]
    if passed:
        names = ", ".join(_text(case.name) for case in passed)
        parts.append(f"<div class='case right'>✓ {names}</div>")
    if question.printed.strip() and not question.passed:
        parts.append(
            "<details class='case'><summary>What your code printed</summary>"
            f"<pre>{_text(question.printed)}</pre></details>"
        )
    return "".join(parts)


def _case(case: CaseResult) -> str:
    text = f"<pre>{_text(case.text)}</pre>" if case.text else ""
    outputs = "".join(_output(output) for output in case.outputs if output.text)
    earned = f"{round(case.earned, 2):g} / {round(case.points, 2):g}"
    return (
        f"<div class='case'><span class='wrong'>✗</span> <b>{_text(case.name)}</b>"
        f" ({earned}){text}{outputs}</div>"
    )


def _output(output: OutputResult) -> str:
    pictures = "".join(
        f"<figure><img alt='{_text(name)}' "
        f"src='data:image/png;base64,{_text(data)}'>{_text(name)}</figure>"
        for name, data in output.pictures.items()
    )
    text = _text(f"{output.name}: {output.text}")
    return f"<pre>{text}</pre><div>{pictures}</div>"
