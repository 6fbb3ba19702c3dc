"""Words of nft that say whether an address is in one of many blocks, and that hold while rules are replaced.

A set of ranges (`{ 10.0.0.0/26, … }`) is there with the rules that ask it and gets what is in it a moment later: 30
microseconds on Linux 6.18, in which it is empty, and who should pass is refused. So blocks are looked up by their first
address, which is in a hash from the beginning; and faster.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from ipaddress import ip_network


def within(field: str, blocks: Sequence[str]) -> list[str]:
    """Matches of `field` (`ip saddr`), of which one has to hold: one for each length of blocks. None for no block."""
    if len(blocks) == 1:
        return [f"{field} {blocks[0]}"]
    return [f"{way} {{ {', '.join(firsts)} }}" for way, firsts in _by_length(field, blocks)]


def verdicts(field: str, entries: Iterable[tuple[str, str]]) -> list[str]:
    """Rules that give each block its verdict, for (block, verdict)."""
    by_block = dict(entries)
    return [
        f"{way} vmap {{ {', '.join(f'{first} : {by_block[block]}' for first, block in firsts.items())} }}"
        for way, firsts in _by_length(field, by_block)
    ]


def _by_length(field: str, blocks: Iterable[str]) -> list[tuple[str, dict[str, str]]]:
    """What is looked up, and what it is to be: the first address of each block, with the block."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for block in blocks:
        known = ip_network(block, strict=False)
        mask = "" if known.prefixlen == known.max_prefixlen else f" & {known.netmask}"
        found[f"{field}{mask}"][str(known.network_address)] = block
    return list(found.items())
