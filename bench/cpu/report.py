"""Tables, chart and summary: report.py FOLDER RESULTS.json... writes those of the runs together into the folder."""

import json
import re
import statistics
import sys
import textwrap
from pathlib import Path


def save(results, folder):
    (folder / "results.json").write_text(json.dumps(results, indent=1))


def write(results, folder):
    """Writes results.json, table.md, summary.md and chart.svg; prints the table and the summary."""
    save(results, folder)
    table, short = full_table(results), summary(results)
    (folder / "table.md").write_text(table)
    (folder / "summary.md").write_text(short)
    chart(results, folder / "chart.svg")
    print(f"\n{table}\n{short}\n{folder}: results.json, table.md, summary.md, chart.svg")


def merged(parts):
    """The runs of several results as one. Raises ValueError for what must not stand in one table."""
    for what in ("shape", "threads"):
        if len({part[what] for part in parts}) > 1:
            raise ValueError(f"the results differ in {what}")
    together = {**parts[0], "runs": [], "sides": {}, "left_out": [], "measurements": []}
    for part in parts:
        first = len(together["runs"])
        together["runs"] += part["runs"]
        for kind in ("left_out", "measurements"):
            together[kind] += [{**entry, "run": first + entry["run"]} for entry in part[kind]]
        for key, side in part["sides"].items():
            if together["sides"].setdefault(key, side)["version"] != side["version"]:
                raise ValueError(f"{side['name']} has several versions")
    for row in rows_of(together):
        cpus = {json.dumps(together["runs"][i]["machine"]["cpu"]) for i in runs_of(together, row)}
        if len(cpus) > 1:
            raise ValueError(f"{row} was measured on {' and '.join(sorted(cpus))}")
    return together


def rows_of(results):
    """Labels of the measured rows: prefill, batches, contexts."""

    def place(row):
        numbers = [int(number) for number in re.findall(r"\d+", row)]
        return not row.startswith("prefill"), numbers[::-1]

    return sorted({m["row"] for m in results["measurements"]}, key=place)


def runs_of(results, row):
    return sorted({m["run"] for m in results["measurements"] if m["row"] == row})


def sides_of(results):
    """Ours first, by the number of bits."""
    return dict(sorted(results["sides"].items(), key=lambda side: (not side[1]["ours"], -side[1]["bits"])))


def of(results, row, side):
    return [m for m in results["measurements"] if (m["row"], m["side"]) == (row, side)]


def spread(values):
    """Minimum, median, maximum."""
    return min(values), statistics.median(values), max(values)


def ratios(results, row, ours, peer):
    """Ours against a peer, by the repetitions they alternated in; each side's time first divided by the machine's."""

    def turn(m):
        return m["run"], m["group"], m["repetition"]

    theirs = {turn(m): m for m in of(results, row, peer)}
    return [
        (m["rate"] / m["machine"]) / (other["rate"] / other["machine"])
        for m in of(results, row, ours)
        if (other := theirs.get(turn(m))) and other["rate"] > 0
    ]


def best_peer(results, row, ours):
    """Key of the peer with as many bits that ours is least ahead of, and the ratios; None without such a peer."""
    bits = results["sides"][ours]["bits"]
    peers = [key for key, side in results["sides"].items() if side["bits"] == bits and not side["ours"]]
    found = [(peer, ratios(results, row, ours, peer)) for peer in peers]
    return min((pair for pair in found if pair[1]), key=lambda pair: statistics.median(pair[1]), default=None)


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def three(values):
    return " / ".join(number(value) for value in spread(values))


def cells(*values):
    return "| " + " | ".join(values) + " |\n"


def paragraph(text):
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False) + "\n\n"


def numbers_of(runs):
    return ", ".join(str(run + 1) for run in runs)


def full_table(results):
    text = cells("row", "side", "run", "tok/s min / median / max", "of the limit", "against the best peer", "which")
    text += cells(*["---"] * 7)
    for row in rows_of(results):
        for key, side in sides_of(results).items():
            measured = of(results, row, key)
            if not measured:
                continue
            best = best_peer(results, row, key) if side["ours"] else None
            text += cells(
                row,
                side["name"],
                numbers_of(sorted({m["run"] for m in measured})),
                three([m["rate"] for m in measured]),
                three([m["rate"] / m["limit"] for m in measured]),
                three(best[1]) if best else "",
                results["sides"][best[0]]["name"] if best else "",
            )
    return text


def limits_line(measured):
    read, streams = three([limits["read"] for limits in measured]), measured[0]["streams"]
    parts = [f"read {read} GB/s ({streams:.0f} streams a thread)"]
    for name in measured[0]["peaks"]:
        fed = [three([limits["peaks"][name][kind] for limits in measured]) for kind in ("registers", "l2")]
        parts.append(f"{name} {fed[0]} GFLOP/s from registers, {fed[1]} from L2")
    return "; ".join(parts)


def run_paragraph(results, number, run):
    machine = run["machine"]
    limits = [m["limits"] for m in results["measurements"] if m["run"] == number]
    return paragraph(
        f"Run {number + 1}: {machine['cpu']} ({machine['family']}: {', '.join(machine['features'])}), "
        f"{machine['cores']} cores, {machine['memory'] / 2**30:.0f} GiB; {run['date']}; commit {run['commit']}; "
        f"`{run['command']}`; {run['repetitions']} alternations, load average before {run['load']:.1f}. "
        f"Limits, min / median / max over the run: {limits_line(limits)}."
    )


def summary(results):
    """A block for bench/RESULTS.md."""
    sides = sides_of(results)
    ours = [key for key, side in sides.items() if side["ours"]]
    text = f"{results['shape']} shape, {results['threads']} threads.\n\n"
    text += "".join(run_paragraph(results, number, run) for number, run in enumerate(results["runs"]))
    text += paragraph(
        "Median tok/s, in brackets the share of the limit: of the speed at which a step takes only the time of reading "
        "its weights, keys and values once, or of its multiply-adds, as probed before and after each turn."
    )
    heads = [f"{sides[key]['name']} / best peer" for key in ours]
    text += cells("", "run", *(side["name"] for side in sides.values()), *heads)
    text += cells(*["---"] * (2 + len(sides) + len(ours)))
    for row in rows_of(results):
        line = [row, numbers_of(runs_of(results, row))]
        for key in sides:
            measured = of(results, row, key)
            rate = [m["rate"] for m in measured]
            share = [m["rate"] / m["limit"] for m in measured]
            line.append(f"{number(statistics.median(rate))} ({statistics.median(share):.2f})" if measured else "")
        for key in ours:
            best = best_peer(results, row, key)
            line.append(f"{statistics.median(best[1]):.2f} ({sides[best[0]]['name']})" if best else "")
        text += cells(*line)
    text += "\n" + cells("side", "version", "logits against float32 (allowed)", "CPU features it tells")
    text += cells(*["---"] * 4)
    for side in sides.values():
        text += cells(side["name"], side["version"], side["check"], side["features"])
    without = results["without_positions"]
    text += f"\nFor comparison, the same model without rotary embedding has a KL of {without:.2g}.\n"
    if results["left_out"]:
        text += "\nLeft out:\n"
        for left in results["left_out"]:
            text += f"- {left['side']}, {left['what']} (run {left['run'] + 1}): {left['reason']}\n"
    return text


def chart(results, path):
    prefill = [row for row in rows_of(results) if row.startswith("prefill")]
    decode = [row for row in rows_of(results) if row.startswith("decode")]
    batches = [row for row in decode if row.endswith("@64")]
    contexts = [row for row in decode if row.startswith("decode-1@")]

    def rate(measurement):
        return measurement["rate"]

    unit = "tokens per second"
    panels = [
        ("prefill", "tokens of the prompt", unit, prefill, lambda row: int(row.split("-")[1]), rate),
        ("decode, context 64", "sequences", unit, batches, lambda row: int(row.split("-")[1].split("@")[0]), rate),
        ("decode, one sequence", "context", unit, contexts, lambda row: int(row.split("@")[1]), rate),
    ]
    draw(results, [panel for panel in panels if panel[3]], path)


def draw(results, panels, path):
    """A line for each side. Panels: title, label of x, label of y, rows, x of a row, y of a measurement or None."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    sides = sides_of(results)
    figure, axes = pyplot.subplots(1, len(panels), squeeze=False, figsize=(5 * len(panels), 6), layout="constrained")
    lines = {}
    pairs = matplotlib.colormaps["tab20"].colors  # dark and light in turn
    colors = pairs[::2] + pairs[1::2]
    styles = {16: "-", 8: "--", 4: ":"}
    for axis, (title, x_label, y_label, rows, position, value) in zip(axes[0], panels):
        for key, side in sides.items():
            measured = [(position(row), list(map(value, of(results, row, key)))) for row in rows]
            known = [(x, [y for y in values if y is not None]) for x, values in measured]
            points = [(x, *spread(values)) for x, values in known if values]
            if not points:
                continue
            x, low, middle, high = map(list, zip(*points))
            errors = [[m - l for m, l in zip(middle, low)], [h - m for h, m in zip(high, middle)]]
            style = {"linestyle": styles[side["bits"]], "linewidth": 2.5 if side["ours"] else 1.2, "marker": "o"}
            color = colors[list(sides).index(key)]
            lines[side["name"]] = axis.errorbar(x, middle, errors, capsize=3, color=color, **style)
        ticks = [position(row) for row in rows]
        axis.set(title=title, xlabel=x_label, ylabel=y_label, xscale="log", yscale="log")
        axis.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=4, fontsize="small")
    cpus = " and ".join(sorted({run["machine"]["cpu"] for run in results["runs"]}))
    dates = " and ".join(sorted({run["date"] for run in results["runs"]}))
    figure.suptitle(f"{results['shape']} shape, {cpus}, {results['threads']} threads, {dates}")
    figure.savefig(path)
    pyplot.close(figure)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    try:
        write(merged([json.loads(Path(path).read_text()) for path in sys.argv[2:]]), target)
    except ValueError as reason:
        sys.exit(f"not one table: {reason}")
