"""INPUT of edges: how it is read, and what is said of it."""

from typing import TYPE_CHECKING, Any

from exact2vec.cli.request import Request
from exact2vec.display import spinner
from exact2vec.options.edges import EDGE_TRAINING

if TYPE_CHECKING:
    from exact2vec.counts.counts import Counts

EDGE_FLAGS = (
    *("hops", "source", "target", "weight", "separator", "directed", "nodes", "whole_cells"),
    *("most_cells", "held_out", "validation", "encoding", "errors"),
)
EDGE_DEFAULTS = {"held_out": 0.0, **EDGE_TRAINING}


def edge_files(paths: tuple[str, ...], given: dict[str, Any]) -> dict[str, Any]:
    """The Edges of files with one edge a line, by name."""
    from exact2vec.counts.edges import edge_columns, read_edges
    from exact2vec.counts.table_files import Form, separator_of

    source, target = given["source"], given["target"]
    how = separator_of(given["separator"]), given["encoding"], given["errors"]
    columns, form = edge_columns(source, target, None), Form(*how, source is not None)
    return {path: read_edges([path], columns, form) for path in paths}


def edge_counts(request: Request) -> Any:
    """The Counts of files with one edge a line, folders of them, or stdin."""
    from exact2vec.counts.edge_counting import counted_graph
    from exact2vec.counts.edges import edge_columns, read_edges, read_nodes
    from exact2vec.counts.table_files import Form, separator_of
    from exact2vec.options import validation_share

    given = request.given
    ends = given["source"], given["target"], given["weight"]
    how = separator_of(given["separator"]), given["encoding"], given["errors"]
    with spinner("reading edges", quiet=request.quiet):
        columns = edge_columns(*ends)
        edges = read_edges(request.inputs or ("-",), columns, Form(*how, ends[0] is not None))
        edges = edges.with_nodes(read_nodes(given["nodes"]) if given["nodes"] else ())
    request.say_notes(edges.notes)
    if edges.header:
        request.say(
            f"the first line, {edges.header!r}, was read as an edge: where it names the columns, "
            "give --source and --target"
        )
    share = validation_share(given["validation"], given["epochs"])
    settings = {"hops": given["hops"], "held_out": given["held_out"], "validation": share}
    with spinner("walking", quiet=request.quiet):
        counts = counted_graph(
            edges,
            settings,
            directed=given["directed"],
            whole_cells=given["whole_cells"],
            most_cells=given["most_cells"],
            threads=given["threads"],
            anyway=given["anyway"],
            say=request.say,
        )
    for line in edge_lines(counts):
        request.say(line)
    return counts


def edge_lines(counts: "Counts") -> list[str]:
    """What was read of edges, what became of it, and what was cut."""
    read = counts.settings["read"]
    doubled, loops, zero = (
        f", {read[name]:,} {what}" if read[name] else ""
        for name, what in (
            ("doubled", "doubled and added up"),
            ("loops", "loops dropped"),
            ("without_weight", "of weight 0 dropped"),
        )
    )
    parts = [
        f"{read[name]:,} {what}"
        for name, what in (("held_out", "held out"), ("validation", "for validation"))
        if read[name]
    ]
    lines = [
        f"{read['edges_read']:,} edges read{doubled}{loops}{zero}: "
        + " + ".join([f"{read['training']:,} trained on", *parts]),
        f"{len(set(counts.rows) | set(counts.columns)):,} nodes in {read['components']:,} "
        f"component{'s' * (read['components'] > 1)}, the largest of {read['largest_component']:,}; "
        f"{counts.training.nnz:,} cells of walks",
    ]
    for what, lost in (
        ("held out", read["held_out_without_nodes"]),
        ("for validation", read["validation_without_nodes"]),
    ):
        if lost:
            lines.append(f"{lost:,} edges {what} have an end that is not trained on: not judged")
    if read["comments"]:
        lines.append(f"comments left out, lines that begin with # or %: {read['comments']:,}")
    if isolated := counts.settings["isolated"]:
        shown = ", ".join(map(repr, isolated[:5])) + " …" * (len(isolated) > 5)
        lines.append(f"{len(isolated):,} nodes without edges have no vector: {shown}")
    if counts.background is not None:
        share = counts.background.errors.sum() / 2 / counts.vocabulary.counts.sum()
        chance, more = "chance", "--whole-cells"
        if read["cut"] > 1:
            chance, more = f"{read['cut']:.3g} times chance", "--most-cells"
        lines.append(
            f"cells below {chance} stand as a background: it moves {100 * share:.1f} % of the "
            f"pairs; {more} keeps more"
        )
    return lines
