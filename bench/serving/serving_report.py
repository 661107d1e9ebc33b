"""Table and chart of bench/run.sh serving: serving_report.py FOLDER writes them anew from its results.json."""

import json
import statistics
import sys
from pathlib import Path

import report
from loads import DECODE_KINDS, KINDS, kernels_key
from report import cells, number, of, paragraph, ratios, sides_of, three

COLUMNS = (
    "row",
    "side",
    "new tok/s min / median / max",
    "prompt tok/s",
    "first token s p50 / p95 / p99",
    "between tokens ms p50 / p95 / p99",
    "p99 / p50",
    "queue s p50 / p95",
    "against the best peer",
    "which",
    "of the kernels alone",
)


def write(results, folder):
    """Writes results.json, table.md and, of closed loops and arrivals, chart.svg; prints the table."""
    report.save(results, folder)
    text = table(results)
    (folder / "table.md").write_text(text)
    written = ["results.json", "table.md"]
    panels = panels_of(results)
    if panels:
        report.draw(results, panels, folder / "chart.svg")
        written.append("chart.svg")
    print(f"\n{text}\n{folder}: {', '.join(written)}")


def rows_of(results):
    """In the order they were measured in, kinds together."""
    labels = dict.fromkeys(m["row"] for m in results["measurements"])
    return sorted(labels, key=lambda label: KINDS.index(label.split("-")[0]))


def is_kernels(key):
    return key.startswith(kernels_key(""))


def best_peer(results, row, ours):
    """Key of the peer with as many bits that ours is least ahead of, and the ratios; None without such a peer."""
    bits = results["sides"][ours]["bits"]
    peers = [key for key, side in results["sides"].items() if side["bits"] == bits and not side["ours"]]
    found = [(peer, ratios(results, row, ours, peer)) for peer in peers if not is_kernels(peer)]
    return min((pair for pair in found if pair[1]), key=lambda pair: statistics.median(pair[1]), default=None)


def medians(measured, name):
    """Of each quantile over the turns that have any; None if none has."""
    known = [m[name] for m in measured if m.get(name)]
    return [statistics.median(values) for values in zip(*known)] if known else None


def slashed(values, factor=1.0):
    return " / ".join(number(factor * value) for value in values) if values else "-"


def line(results, row, key):
    measured = of(results, row, key)
    side = results["sides"][key]
    gap, queue = medians(measured, "gap"), medians(measured, "queue")
    waits = row.startswith("arrivals")  # how much is to be done does not depend on the side
    best = best_peer(results, row, key) if side["ours"] and not waits else None
    alone = ratios(results, row, key, kernels_key(key.removeprefix("ours-"))) if side["ours"] else []
    read = [m["prompt_rate"] for m in measured if "prompt_rate" in m]
    return cells(
        row,
        side["name"],
        three([m["rate"] for m in measured]),
        number(statistics.median(read)) if read and not row.startswith(DECODE_KINDS) else "-",
        slashed(medians(measured, "first")) if not row.startswith(DECODE_KINDS) else "-",
        slashed(gap, 1000),
        number(gap[2] / gap[0]) if gap and gap[0] > 0 else "-",
        slashed(queue[:2] if queue and waits else None),
        three(best[1]) if best else "",
        results["sides"][best[0]]["name"] if best else "",
        three(alone) if alone else "",
    )


def run_paragraph(results):
    run, known = results["runs"][0], results["prompts"]
    machine = run["machine"]
    limits = [m["limits"] for m in results["measurements"]]
    text = paragraph(
        f"{results['shape']} shape, {results['threads']} threads. {machine['cpu']} ({machine['family']}: "
        f"{', '.join(machine['features'])}), {machine['cores']} cores, {machine['memory'] / 2**30:.0f} GiB; "
        f"{run['date']}; commit {run['commit']}; `{run['command']}`; {run['repetitions']} alternations, load average "
        f"before {run['load']:.1f}. Limits, min / median / max over the run: {report.limits_line(limits)}."
    )
    text += paragraph(
        f"{known['prompts']} prompts of {known['mean']:.0f} tokens and {known['new']:.0f} new ones on average; the "
        f"long ones have {known['long']:.0f}. Latencies are medians over the turns."
    )
    if results["rates"]:
        rates = ", ".join(f"{label} {rate:.3g}" for label, rate in results["rates"].items())
        text += paragraph(f"Arrivals a second: {rates}.")
    return text


def table(results):
    text = run_paragraph(results) + cells(*COLUMNS) + cells(*["---"] * len(COLUMNS))
    for row in rows_of(results):
        for key in sides_of(results):
            if of(results, row, key):
                text += line(results, row, key)
    heads = ("side", "version", "logits against float32 (allowed)", "answers that differ from those alone")
    text += "\n" + cells(*heads)
    text += cells(*["---"] * 4)
    for side in sides_of(results).values():
        text += cells(side["name"], side["version"], side["check"], side.get("differ", "-"))
    if results["left_out"]:
        text += "\nLeft out:\n"
        for left in results["left_out"]:
            text += f"- {left['side']}, {left['what']}: {left['reason']}\n"
    return text


def panels_of(results):
    """Of the chart, those that have something to show."""
    rows = rows_of(results)
    closed = [row for row in rows if row.startswith("users-")]
    arrivals = [row for row in rows if row.startswith("arrivals-")]

    def users(row):
        return int(row.split("-")[1])

    def quantile(name, index, factor=1):
        return lambda m: m[name][index] * factor if m.get(name) else None

    panels = [
        ("closed loop", "users", "new tokens per second", closed, users, lambda m: m["rate"]),
        ("closed loop", "users", "between tokens, ms, p99", closed, users, quantile("gap", 2, 1000)),
        ("closed loop", "users", "first token, s, p50", closed, users, quantile("first", 0)),
        ("arrivals", "a second", "first token, s, p95", arrivals, results["rates"].get, quantile("first", 1)),
    ]
    return [panel for panel in panels if panel[3]]


if __name__ == "__main__":
    target = Path(sys.argv[1])
    write(json.loads((target / "results.json").read_text()), target)
