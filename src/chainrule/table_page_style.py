"""The style of the report's page, light and dark."""

STYLE = """
:root { --text: #1f2328; --faint: #59636e; --rule: #d1d9e0; --back: #ffffff; --bar: #0072b2; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6edf3; --faint: #9aa4ae; --rule: #3d444d; --back: #0d1117; --bar: #56b4e9; }
  figure img { filter: invert(1) hue-rotate(180deg); }
}
body { margin: 0; background: var(--back); color: var(--text); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; margin: 0 0 1rem; line-height: 1.25; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .7rem; padding-bottom: .3rem; border-bottom: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p { margin: .5rem 0; }
.note { color: var(--faint); font-size: .875rem; }
.facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .25rem 1.2rem; margin: 0; }
.facts dt { color: var(--faint); }
.facts dd { margin: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: .3rem 1.2rem .3rem 0; font-weight: normal; }
tr:first-child > th:not([scope]) { color: var(--faint); border-bottom: 1px solid var(--rule); }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bars { width: 100%; }
.bars th, .bars td { vertical-align: middle; }
.bars .bar { width: 60%; min-width: 5rem; }
.bars .bar div { height: .8rem; min-width: 1px; background: var(--bar); border-radius: 0 2px 2px 0; }
@media (max-width: 34rem) { th, td { padding-right: .7rem; } }
figure { margin: .8rem 0; }
figure img { max-width: 100%; height: auto; }
.pair { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start; }
.pair figure { flex: 0 1 auto; max-width: 100%; }
details { margin: .6rem 0; border: 1px solid var(--rule); border-radius: 6px; padding: .5rem .9rem; }
summary { cursor: pointer; font-weight: 600; }
.equation { margin: .7rem 0; padding: .15rem 0 .25rem .8rem; border-left: 3px solid var(--rule); }
.equation { overflow: auto hidden; }
.equation > math { display: block; margin: .15rem 0; }
"""
