"""The results as a picture: for each operation a bar for each server."""

from html import escape

from bench.operations import Operation
from bench.results import Results
from bench.servers import OURS, Server

_WIDTH = 760
_LABEL_WIDTH = 190
_BAR_WIDTH = 440
_BAR_HEIGHT = 18
_ROW = 24
_TITLE = 34
_MARGIN = 16

_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; paint-order: stroke;
    stroke: #ffffff; stroke-width: 5px; }
  .title { font-weight: 600; font-size: 14px; }
  .ours { fill: #0969da; } .peer { fill: #8c959f; } .floor { fill: #d0d7de; }
  .line { stroke: #1f2328; stroke-dasharray: 3 3; }
"""


def to_svg(results: Results) -> str:
    """Throughput of each server as a multiple of the fastest peer's, for each operation."""
    panel = _TITLE + _ROW * len(results.servers) + _MARGIN
    height = panel * len(results.operations) + _MARGIN
    panels = [
        _panel(results, operation, _MARGIN + panel * index)
        for index, operation in enumerate(results.operations)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        'aria-label="Throughput as a multiple of the fastest peer">\n'
        f"<style>{_STYLE}</style>\n"
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>\n' + "\n".join(panels) + "\n"
        "</svg>\n"
    )


def _panel(results: Results, operation: Operation, top: int) -> str:
    rates = {
        server: results.spread(server.name, operation.name, lambda cell: cell.rate).median
        for server in results.servers
    }
    peer = results.fastest_peer(operation.name)
    unit = next((rate for server, rate in rates.items() if server.name == peer), None)
    scale = _BAR_WIDTH / max(rates.values())
    title = f"{operation.title}: requests a second"
    lines = []
    if unit is not None:
        title += ", × the fastest peer"
        unit_x = f"{_LABEL_WIDTH + unit * scale:.1f}"
        bottom = top + _TITLE + _ROW * len(rates)
        lines.append(
            f'<line class="line" x1="{unit_x}" x2="{unit_x}" y1="{top + 28}" y2="{bottom}"/>'
        )
    lines.append(f'<text class="title" x="{_MARGIN}" y="{top + 20}">{escape(title)}</text>')
    for row, (server, rate) in enumerate(rates.items()):
        top_of_bar = top + _TITLE + _ROW * row
        end_of_bar = _LABEL_WIDTH + rate * scale
        baseline = top_of_bar + _BAR_HEIGHT - 5
        ratio = "" if unit is None else f"{rate / unit:.2f} · "
        lines.append(
            f'<text x="{_LABEL_WIDTH - 8}" y="{baseline}" text-anchor="end">'
            f"{escape(server.title)}</text>"
            f'<rect class="{_kind(server)}" x="{_LABEL_WIDTH}" y="{top_of_bar}" '
            f'width="{rate * scale:.1f}" height="{_BAR_HEIGHT}" rx="2"/>'
            f'<text x="{end_of_bar + 6:.1f}" y="{baseline}">'
            f"{ratio}{rate:,.0f}/s</text>"
        )
    return "\n".join(lines)


def _kind(server: Server) -> str:
    if server.is_peer:
        return "peer"
    return "ours" if server.name == OURS else "floor"
