"""One page: a table of the longest pauses and a plot of every run."""

import os
import statistics
import time

# By read level; "adomd" is ADOMD.NET, whose reads are those of a session; "command" the smallest
# writes, as the command that moves them says.
LEVELS = ["any", "bounded:2s", "session", "strong", "write", "command", "adomd"]
COLOURS = ["#4c78a8", "#72b7b2", "#54a24b", "#b279a2", "#e45756", "#ff9da6", "#f58518"]


def write(folder, title, results):
    """`results`: scenario, what it does, bars, runs (each: pauses, reads, failed, both also of
    ADOMD.NET alone, writes, unknown, lost, wrong)."""
    plot = "regions.svg"
    with open(os.path.join(folder, plot), "w") as file:
        file.write(_plot(results))
    text = [f"# {title}", "",
            f"{time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}, {os.cpu_count()} processors, load "
            f"{os.getloadavg()[0]:.1f} at the end.", "",
            "Longest time in seconds in which one client got no answer, over all runs (median of the "
            "runs' longest in brackets); **bold** where it is over the bar. A write is a whole refresh; "
            "'command' is what the command says of the smallest writes.", "",
            "| Fault | Runs | any | bounded:2s | session | strong | writes | command | ADOMD.NET | reads, failed "
            "| of ADOMD.NET | writes, asked again | lost | wrong |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for r in results:
        cells = []
        for level in LEVELS:
            pauses = [run["pauses"][level] for run in r["runs"] if level in run["pauses"]]
            if not pauses:
                cells.append("–")
                continue
            bar = r["bars"].get(level)
            worst = f"{max(pauses):.2f}"
            worst = f"**{worst}**" if bar and max(pauses) > bar else worst
            limit = f" ≤ {bar:g}" if bar else ""
            cells.append(f"{worst} ({statistics.median(pauses):.2f}){limit}")
        total = {k: sum(run[k] for run in r["runs"])
                 for k in ("reads", "failed", "adomd_reads", "adomd_failed", "writes", "unknown",
                           "lost", "wrong")}
        of_adomd = [total["adomd_reads"], total["adomd_failed"]]
        of_adomd = f"{of_adomd[0]}, {of_adomd[1]}" if any(of_adomd) else "–"
        text.append(f"| {r['name']}: {r['what']} | {len(r['runs'])} | " + " | ".join(cells)
                    + f" | {total['reads']}, {total['failed']} | {of_adomd} | {total['writes']}, {total['unknown']}"
                    f" | {total['lost']} | {total['wrong']} |")
    text += ["", f"![Longest pause of every run]({plot})", ""]
    path = os.path.join(folder, "regions.md")
    with open(path, "w") as file:
        file.write("\n".join(text))
    return path


def _plot(results):
    """A row for each fault; a dot for each run and level, and the bars as strokes."""
    left, top, step, width = 130, 50, 90, 700
    longest = max([1.0, *(p for r in results for run in r["runs"] for p in run["pauses"].values()),
                   *(b for r in results for b in r["bars"].values())])
    height = top + step * len(results) + 30
    x = lambda seconds: left + seconds / longest * width
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 30}" height="{height}" '
           'font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="white"/>']
    for k, level in enumerate(LEVELS):
        out.append(f'<circle cx="{left + k * 110}" cy="18" r="5" fill="{COLOURS[k]}"/>'
                   f'<text x="{left + k * 110 + 10}" y="22">{level}</text>')
    tick = 0.5 if longest <= 6 else 1 if longest <= 12 else 5
    for k in range(int(longest / tick) + 1):
        at = x(k * tick)
        out.append(f'<line x1="{at}" x2="{at}" y1="{top - 10}" y2="{height - 25}" stroke="#ddd"/>'
                   f'<text x="{at}" y="{height - 8}" text-anchor="middle">{k * tick:g} s</text>')
    for row, r in enumerate(results):
        y = top + row * step
        out.append(f'<text x="8" y="{y + 32}">{r["name"]}</text>')
        for k, level in enumerate(LEVELS):
            line = y + 6 + k * 12
            if level in r["bars"]:
                at = x(r["bars"][level])
                out.append(f'<line x1="{at}" x2="{at}" y1="{line - 5}" y2="{line + 5}" '
                           f'stroke="{COLOURS[k]}" stroke-width="2"/>')
            for run in r["runs"]:
                if level in run["pauses"]:
                    out.append(f'<circle cx="{x(run["pauses"][level]):.1f}" cy="{line}" r="3.5" '
                               f'fill="{COLOURS[k]}" fill-opacity="0.6"/>')
    out.append("</svg>")
    return "\n".join(out)
