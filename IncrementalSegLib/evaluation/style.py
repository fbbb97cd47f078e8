"""The look of the page; its colours are those of the pictures."""

from __future__ import annotations

from IncrementalSegLib.evaluation.theme import DARK, LIGHT, VIEWER, Theme


def _colors(theme: Theme) -> str:
    names = ("page", "card", "ink", "muted", "line", "blue", "amber", "low")
    return "".join(f"--{name}:{getattr(theme, name)};" for name in names)


CSS = (
    f":root{{color-scheme:light dark;{_colors(LIGHT)}--viewer:{VIEWER.card}}}"
    f"@media (prefers-color-scheme:dark){{:root{{{_colors(DARK)}}}}}"
    """
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
  font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"Liberation Sans",sans-serif}
main{max-width:1020px;margin:0 auto;padding:56px 24px 40px}
h1{font-size:2.1rem;line-height:1.2;letter-spacing:-.018em;margin:0 0 .5rem;text-wrap:balance}
h2{font-size:1.3rem;letter-spacing:-.01em;margin:0 0 .35rem}
p{margin:0}
.intro,.text{color:var(--muted);max-width:76ch;text-wrap:pretty}
.intro{font-size:1.06rem}
.text{margin-bottom:16px}
section{margin-top:44px}
section>h2:has(+.card){margin-bottom:14px}
.card,.verdict,.warning{background:var(--card);border:1px solid var(--line);border-radius:12px}
.verdict{margin-top:26px;padding:20px 24px;border-left:5px solid var(--blue)}
.verdict p+p{margin-top:.3rem;color:var(--muted)}
.verdict .lead{font-size:1.22rem;font-weight:600;line-height:1.4}
.warning{margin-top:14px;padding:12px 24px;border-left:5px solid var(--amber);font-size:.94rem}
.card{margin:0 0 16px;overflow:hidden}
.scroll{overflow-x:auto}
figure img{display:block;width:100%;min-width:640px;height:auto}
figcaption{padding:10px 24px 14px;color:var(--muted);font-size:.9rem;border-top:1px solid var(--line)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.94rem}
th,td{padding:8px 12px;text-align:right;white-space:nowrap;font-weight:400}
th:first-child,td:first-child{text-align:left;padding-left:24px}
th:last-child,td:last-child{padding-right:24px}
thead th{color:var(--muted);font-size:.82rem;padding-top:16px}
tbody tr{border-top:1px solid var(--line)}
tr.group{border-top:1px solid var(--line)}
tr.group th{font-weight:650;font-size:1.02rem;padding-top:14px}
tr.group+tr{border-top:0}
th small{display:block;max-width:30ch;white-space:normal}
:is(th,td) small{display:block;color:var(--muted);font-size:.78rem;line-height:1.2}
b{font-weight:650}
.good{color:var(--blue)}
.bad{color:var(--amber)}
td .open{color:var(--muted)}
.chip{display:inline-block;min-width:5.6em;padding:1px 10px;border-radius:99px;font-size:.8rem;text-align:center;
  border:1px solid currentColor}
.chip.open{border-style:dashed}
details{border-top:1px solid var(--line)}
summary{padding:12px 24px;cursor:pointer;color:var(--muted);font-size:.9rem}
summary:hover{color:var(--ink)}
.cases{font-size:.86rem;margin-bottom:10px}
.cases th,.cases td{padding-top:4px;padding-bottom:4px}
.cases thead th{padding-top:4px}
.cases :is(th,td):nth-child(-n+3){text-align:left}
footer{margin-top:48px;padding-top:20px;border-top:1px solid var(--line);color:var(--muted);font-size:.86rem}
.glossary span:not(:last-child)::after{content:" · "}
.glossary b{color:var(--ink)}
dl{display:flex;flex-wrap:wrap;gap:6px 32px;margin:14px 0 0}
dl div{display:flex;gap:8px}
dd{margin:0;color:var(--ink)}
@media (max-width:640px){main{padding:32px 14px}h1{font-size:1.6rem}}
@media print{body{background:none}main{max-width:none;padding:0}section{break-inside:avoid-page}}
"""
)
"""The style sheet."""
