"""Pictures of the networks: as text, as Mermaid's source, as SVG. All of them from the same view."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape

from shipyard.base.text import printable
from shipyard.model.netview import NetworkView, ServiceView


def text(networks: Sequence[NetworkView]) -> str:
    """A tree: networks, their services, and whom each lets in."""
    lines: list[str] = []
    for network in networks:
        lines.append(f"{network.name} ({network.driver}{', internal' if network.internal else ''})")
        for last, service in _marked(network.services):
            lines.append(f"{'└─' if last else '├─'} {service.name}{f'  {service.address}' if service.address else ''}")
            rail = "  " if last else "│ "
            lines += [f"{rail}   {words}" for words in _told(service, network)]
    return "".join(f"{printable(line)}\n" for line in lines) or "no networks\n"


def _marked(services: Sequence[ServiceView]) -> Iterator[tuple[bool, ServiceView]]:
    for index, service in enumerate(services):
        yield index == len(services) - 1, service


def _told(service: ServiceView, network: NetworkView) -> Iterator[str]:
    for replica in service.replicas:
        yield f"{replica.slot} on {replica.node}  {replica.address}{'' if replica.ready else '  not ready'}"
    if service.ports:
        yield f"ports of every node: {', '.join(service.ports)}"
    clients = [client.service for client in _clients(service, network)]
    yield f"from: {', '.join(clients) or 'nobody'}"


def _clients(service: ServiceView, network: NetworkView) -> Iterator[ServiceView]:
    """Other services of the network that may connect to this one."""
    for client in network.services:
        may = service.allowed is None or not {client.name, "*"}.isdisjoint(service.allowed)
        if client.name != service.name and may:
            yield client


def mermaid(networks: Sequence[NetworkView]) -> str:
    """A flow chart: a box for each network, an arrow from who may connect to whom."""
    numbers: dict[str, str] = {}
    lines = ["flowchart LR"]
    for index, network in enumerate(networks):
        lines.append(f'  subgraph n{index}["{_quoted(network.name)} ({network.driver})"]')
        for service in network.services:
            numbers[f"{network.name} {service.name}"] = f"s{len(numbers)}"
            nodes = ", ".join(sorted({replica.node for replica in service.replicas}))
            label = f"{service.name}<br/>{nodes}" if nodes else service.name
            lines.append(f'    {numbers[f"{network.name} {service.name}"]}["{_quoted(label, keep="<br/>")}"]')
        lines.append("  end")
    for network in networks:
        for service in network.services:
            for client in _clients(service, network):
                source, target = (numbers[f"{network.name} {each.name}"] for each in (client, service))
                lines.append(f"  {source} --> {target}")
        for service in network.services:
            for port in service.ports:
                lines.append(f'  outside(("outside")) -->|{port}| {numbers[f"{network.name} {service.name}"]}')
    return "\n".join(lines) + "\n"


def _quoted(said: str, keep: str = "") -> str:
    parts = said.split(keep) if keep else [said]
    return keep.join(printable(part).replace('"', "#quot;") for part in parts)


_WIDTH, _ROW, _MARGIN = 250, 22, 24


def svg(networks: Sequence[NetworkView]) -> str:
    """Networks as columns, services as boxes in them, arrows from who may connect to whom."""
    shapes: list[str] = []
    height = 60
    for column, network in enumerate(networks):
        left = _MARGIN + column * (_WIDTH + 110)
        shapes.append(_label(left, 30, f"{network.name} ({network.driver})", bold=True))
        tops: dict[str, int] = {}
        top = 50
        for service in network.services:
            rows = [service.address or "by replica", *(_replica(each.node, each.address) for each in service.replicas)]
            tall = 30 + _ROW * len(rows)
            tops[service.name] = top
            shapes.append(
                f'<rect x="{left}" y="{top}" width="{_WIDTH}" height="{tall}" rx="6" fill="#eef4fb" stroke="#4a6fa5"/>'
            )
            shapes.append(_label(left + 10, top + 20, service.name, bold=True))
            shapes += [_label(left + 10, top + 20 + _ROW * (row + 1), words) for row, words in enumerate(rows)]
            top += tall + 20
        height = max(height, top)
        for service in network.services:
            for client in _clients(service, network):
                shapes.append(_arrow(left + _WIDTH, tops[client.name] + 16, tops[service.name] + 26))
    width = _MARGIN * 2 + max(1, len(networks)) * (_WIDTH + 110)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        'font-size="13">\n<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#4a6fa5"/></marker></defs>\n'
    )
    return head + "".join(f"{shape}\n" for shape in shapes) + "</svg>\n"


def _replica(node: str, address: str) -> str:
    return f"{node}  {address}"


def _label(x: int, y: int, words: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}"{weight}>{escape(printable(words))}</text>'


def _arrow(x: int, start: int, end: int) -> str:
    bend = x + 30 + abs(end - start) // 6
    path = f"M{x},{start} C{bend},{start} {bend},{end} {x},{end}"
    return f'<path d="{path}" fill="none" stroke="#4a6fa5" marker-end="url(#tip)"/>'


FORMS: dict[str, Callable[[Sequence[NetworkView]], str]] = {"text": text, "mermaid": mermaid, "svg": svg}
