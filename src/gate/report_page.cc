// Style and script of the HTML report. Colours are variables, in a light and a dark set, with a
// contrast of at least 4.5 to 1 for text; bars and dots are SVG, so that they print.
#include "gate/report_page.h"

namespace sinter {

const char* const kReportStyle = R"css(
:root {
  color-scheme: light dark;
  --paper: #fbfaf8; --card: #ffffff; --ink: #1d2129; --soft: #5b6270; --line: #e4e1db;
  --faint: #f1eee9; --before: #8f98a8; --after: #2f62ad; --lost: #b3372b; --won: #2a7a55;
  --pass: #23704a; --pass-bg: #e3f1e9; --fail: #a92e23; --fail-bg: #fae6e2;
  --open: #875a00; --open-bg: #f8eed6; --mark-lost: #f9d3cc; --mark-won: #cde9d9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14161a; --card: #1b1e24; --ink: #e6e7ea; --soft: #a2a9b6; --line: #2e323b;
    --faint: #22262d; --before: #78839a; --after: #74a5ea; --lost: #f08a7d; --won: #6cc79a;
    --pass: #7fd3a8; --pass-bg: #183327; --fail: #f59a8e; --fail-bg: #3d1f1c;
    --open: #e7bd66; --open-bg: #382c12; --mark-lost: #6b2a22; --mark-won: #1f5740;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 1080px; margin: 0 auto; padding: 40px 28px 72px; }
h1, h2, h3, p, figure, dl, dd, pre { margin: 0; }
h2 { font-size: 20px; line-height: 1.3; font-weight: 600; letter-spacing: -0.01em; }
section { margin-top: 56px; }
.lead { color: var(--soft); max-width: 68ch; margin-top: 6px; }
.kicker { color: var(--soft); font-size: 13px; letter-spacing: 0.02em; }
.kicker b { color: var(--ink); font-weight: 600; }
.banner { margin-top: 14px; border-radius: 14px; padding: 30px 32px 28px; }
.banner h1 {
  font-size: 40px; line-height: 1.1; font-weight: 650; letter-spacing: -0.025em;
  display: flex; align-items: center; gap: 14px;
}
.banner h1 svg { width: 36px; height: 36px; flex: none; }
.banner p { font-size: 18px; line-height: 1.45; margin-top: 12px; max-width: 62ch; color: var(--ink); }
.banner.pass { background: var(--pass-bg); } .banner.pass h1 { color: var(--pass); }
.banner.fail { background: var(--fail-bg); } .banner.fail h1 { color: var(--fail); }
.banner.inconclusive { background: var(--open-bg); } .banner.inconclusive h1 { color: var(--open); }
.chips { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 18px; }
.chips a { text-decoration: none; font-size: 13px; line-height: 26px; padding: 0 11px; border-radius: 13px; background: var(--card); color: var(--ink); }
.chips a:hover { text-decoration: underline; }
.chips a.fail { color: var(--fail); } .chips a.notice, .chips a.inconclusive { color: var(--open); }
.versus { display: grid; grid-template-columns: 1fr 1fr; gap: 0 40px; margin-top: 22px; }
.versus dt { color: var(--soft); font-size: 13px; display: flex; gap: 8px; align-items: center; }
.versus dd { font-weight: 600; overflow-wrap: anywhere; }
.versus small { display: block; font-weight: 400; color: var(--soft); font-size: 13px; }
.dot { width: 10px; height: 10px; flex: none; }
.tiles { display: grid; grid-template-columns: repeat(5, 1fr); gap: 12px; margin-top: 26px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 16px 18px; }
.tile b { display: block; font-size: 26px; line-height: 1.2; font-weight: 600; letter-spacing: -0.02em; margin: 4px 0 2px; white-space: nowrap; }
.tile span { color: var(--soft); font-size: 13px; line-height: 1.4; display: block; }
.panel { background: var(--card); border: 1px solid var(--line); border-radius: 12px; margin-top: 18px; }
.pad { padding: 22px 24px; }
table { width: 100%; border-collapse: collapse; }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: 13px; }
th, td { padding: 11px 12px; border-bottom: 1px solid var(--line); vertical-align: top; }
th:first-child, td:first-child { padding-left: 24px; } th:last-child, td:last-child { padding-right: 24px; }
tbody tr:last-child > * { border-bottom: 0; }
td.n, th.n { text-align: right; white-space: nowrap; }
tbody th { font-weight: 500; color: var(--ink); font-size: 15px; }
td small { color: var(--soft); font-size: 13px; display: block; line-height: 1.45; margin-top: 2px; }
.rules .why { display: block; color: var(--soft); font-weight: 400; font-size: 13px; line-height: 1.45; margin-top: 2px; }
.rules td:nth-child(4), .rules td:nth-child(3) { color: var(--soft); font-size: 14px; }
.pill { display: inline-block; justify-self: start; font-size: 12px; line-height: 20px; padding: 0 9px; border-radius: 10px; font-weight: 600; white-space: nowrap; background: var(--faint); color: var(--soft); }
.pill.pass { background: var(--pass-bg); color: var(--pass); }
.pill.fail, .pill.lost { background: var(--fail-bg); color: var(--fail); }
.pill.notice, .pill.inconclusive { background: var(--open-bg); color: var(--open); }
.pill.won { background: var(--pass-bg); color: var(--pass); }
.domains { display: grid; grid-template-columns: minmax(110px, 170px) 1fr 54px minmax(150px, 0.62fr) 66px; gap: 18px 16px; align-items: center; }
.domains .head { color: var(--soft); font-size: 13px; }
.domains .name { font-weight: 500; overflow-wrap: anywhere; }
.domains .name small { display: block; color: var(--soft); font-weight: 400; font-size: 13px; }
.domains .pc { font-size: 13px; line-height: 15px; text-align: right; }
.domains .pc span { display: block; color: var(--soft); } .domains .pc b { font-weight: 600; }
.domains .p { font-size: 13px; color: var(--soft); text-align: right; }
.domains .p b { color: var(--fail); font-weight: 600; }
.bars, .flips { display: block; width: 100%; }
.bars { height: 26px; } .flips { height: 24px; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 20px; color: var(--soft); font-size: 13px; margin-bottom: 18px; }
.legend span { display: inline-flex; align-items: center; gap: 7px; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 18px; margin-top: 18px; }
.pair .panel { margin-top: 0; min-width: 0; }
figure h3 { font-size: 15px; font-weight: 600; }
figcaption { color: var(--soft); font-size: 13px; line-height: 1.45; margin-top: 2px; margin-bottom: 12px; min-height: 38px; }
svg.plot { width: 100%; height: auto; display: block; overflow: visible; }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; fill: var(--soft); }
.axis { stroke: var(--line); stroke-width: 1; } .grid { stroke: var(--line); stroke-width: 1; stroke-dasharray: 2 4; }
.f-before { fill: var(--before); } .f-after { fill: var(--after); } .f-lost { fill: var(--lost); }
.f-won { fill: var(--won); } .f-track { fill: var(--faint); }
.s-lost { stroke: var(--lost); } .s-open { stroke: var(--open); } .s-soft { stroke: var(--soft); }
.t-ink { fill: var(--ink); } .t-lost { fill: var(--lost); font-weight: 600; } .t-won { fill: var(--won); font-weight: 600; } .t-open { fill: var(--open); paint-order: stroke; stroke: var(--card); stroke-width: 4px; stroke-linejoin: round; }
.filter { display: flex; flex-wrap: wrap; gap: 10px; align-items: center; margin-top: 18px; }
.filter input, .filter select { font: inherit; font-size: 14px; color: var(--ink); background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 7px 11px; }
.filter input { flex: 1 1 220px; min-width: 0; }
.filter output { color: var(--soft); font-size: 13px; }
:focus-visible { outline: 2px solid var(--after); outline-offset: 2px; }
.flip { background: var(--card); border: 1px solid var(--line); border-radius: 12px; margin-top: 12px; overflow: hidden; }
.flip summary { padding: 14px 24px; cursor: pointer; display: grid; grid-template-columns: 52px minmax(0, 1fr) auto; gap: 14px; align-items: baseline; list-style: none; position: relative; }
.flip summary::after { content: ""; position: absolute; right: 24px; bottom: 19px; width: 7px; height: 7px; border: solid var(--soft); border-width: 0 1.5px 1.5px 0; transform: rotate(45deg); }
.flip[open] summary::after { transform: rotate(-135deg); bottom: 15px; }
.flip summary::-webkit-details-marker { display: none; }
.flip summary b { font-weight: 600; overflow-wrap: anywhere; }
.flip summary .why { color: var(--soft); font-size: 14px; display: block; overflow-wrap: anywhere; }
.flip summary .meta { color: var(--soft); font-size: 13px; text-align: right; white-space: nowrap; }
.flip .body { padding: 0 24px 22px; }
.flip .body > .label:first-child { margin-top: 2px; }
.flip.more summary { grid-template-columns: 1fr; } .flip.more .body { padding-top: 8px; }
.label { color: var(--soft); font-size: 13px; margin: 14px 0 5px; display: flex; gap: 8px; align-items: center; }
pre { font: 13px/1.55 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; background: var(--faint); border-radius: 8px; padding: 11px 14px; max-height: 340px; overflow: auto; }
.answers { display: grid; grid-template-columns: 1fr 1fr; gap: 0 18px; } .answers > div { min-width: 0; }
mark { color: inherit; border-radius: 3px; padding: 1px 0; } mark.a { background: var(--mark-won); } mark.b { background: var(--mark-lost); }
.after-mark { color: var(--soft); }
.none { color: var(--soft); font-style: italic; }
.facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 8px 28px; }
.facts dt { color: var(--soft); } .facts dd { overflow-wrap: anywhere; }
code { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
[hidden] { display: none !important; }
@media (max-width: 760px) {
  main { padding: 24px 16px 48px; } section { margin-top: 44px; }
  .banner { padding: 22px 20px; } .banner h1 { font-size: 32px; } .banner p { font-size: 16px; }
  .tiles { grid-template-columns: 1fr 1fr; } .pair, .answers, .versus { grid-template-columns: minmax(0, 1fr); }
  .versus > div + div { margin-top: 12px; } .tile:last-child { grid-column: 1 / -1; } svg.plot text { font-size: 17px; } .pad { padding: 18px 16px; } figcaption { min-height: 0; }
  .domains { grid-template-columns: minmax(0, 1fr) 54px; gap: 5px 12px; } .domains .head, .domains .p { display: none; }
  .domains .name { grid-column: 1 / -1; margin-top: 14px; } .domains .name small { display: inline; margin-left: 8px; }
  .domains .flips { grid-column: 1 / -1; }
  .rules thead { display: none; } .rules tr { display: block; padding: 12px 0; border-bottom: 1px solid var(--line); }
  .rules tr:last-child { border-bottom: 0; } .rules td[data-label]::before { content: attr(data-label) ": "; } .rules td, .rules tbody th { display: block; border: 0; padding: 2px 16px !important; }
  .scroll { overflow-x: auto; } .flip summary { padding: 13px 16px; grid-template-columns: 52px minmax(0, 1fr); }
  .flip summary .meta { grid-column: 2; text-align: left; white-space: normal; } .flip .body { padding: 0 16px 18px; }
  .facts { grid-template-columns: minmax(0, 1fr); gap: 0; } .facts dd { margin-bottom: 10px; }
}
@media print {
  :root { --paper: #fff; --card: #fff; --ink: #111; --soft: #555; --line: #ddd; --faint: #f4f4f4; --before: #8f98a8; --after: #2f62ad; --lost: #b3372b; --won: #2a7a55; --pass: #23704a; --pass-bg: #e3f1e9; --fail: #a92e23; --fail-bg: #fae6e2; --open: #875a00; --open-bg: #f8eed6; --mark-lost: #f9d3cc; --mark-won: #cde9d9; }
  body { font-size: 12px; -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  main { max-width: none; padding: 0; } section { margin-top: 28px; } .filter { display: none; }
  .panel, .tile, .flip, figure, tr { break-inside: avoid; } pre { max-height: none; } h2 { break-after: avoid; }
}
)css";

const char* const kReportScript = R"js(
(() => {
  const flips = [...document.querySelectorAll('.flip[data-side]')];
  const side = document.getElementById('side');
  const domain = document.getElementById('domain');
  const words = document.getElementById('words');
  const count = document.getElementById('count');
  if (!side) return;
  const show = () => {
    const wanted = words.value.trim().toLowerCase();
    let n = 0;
    for (const flip of flips) {
      const hit = (!side.value || flip.dataset.side === side.value) &&
        (!domain.value || flip.dataset.domain === domain.value) &&
        (!wanted || flip.textContent.toLowerCase().includes(wanted));
      flip.hidden = !hit;
      n += hit ? 1 : 0;
    }
    count.textContent = n + ' of ' + flips.length + ' shown';
  };
  for (const control of [side, domain, words]) control.addEventListener('input', show);
  window.addEventListener('beforeprint', () => flips.forEach((flip) => { flip.open = true; }));
  show();
})();
)js";

}  // namespace sinter
