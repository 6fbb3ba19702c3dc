"""Whom a pod knows by name: `dnsConfig`, `dnsPolicy`, `hostAliases`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipyard.files.compose.value import Value
from shipyard.files.composefile.nodes import Node
from shipyard.files.kubernetes.fields import Fields, done, itself, need
from shipyard.files.kubernetes.scalars import text, texts
from shipyard.files.kubernetes.tree import node

DNS = Fields(
    "a dnsConfig",
    done("nameservers", "`dns`", texts),
    done("searches", "`dns_search`", texts),
    done("options", "`dns_opt`", itself),
)
DNS_OPTION = Fields("an option", done("name", "the name", text), done("value", "the value", text))
HOST_ALIAS = Fields("a hostAlias", done("ip", "the address", text), done("hostnames", "its names", texts))


def keys(spec: Value, got: Mapping[str, Any]) -> dict[str, Any]:
    """`dns`, `dns_search`, `dns_opt` and `extra_hosts`."""
    made: dict[str, Any] = {}
    if "dnsConfig" in got:
        with spec.reading.collect():
            made |= _dns(got["dnsConfig"])
    elif got.get("dnsPolicy") == "None":
        raise spec.child("dnsPolicy", None).error("is None, and there is no dnsConfig that says name servers")
    hosts: dict[str, list[Node]] = {}
    for item in got["hostAliases"].items("a list of addresses with names") if "hostAliases" in got else ():
        with item.reading.collect():
            alias = HOST_ALIAS.read(item)
            need(item, "ip")
            for name in alias.get("hostnames", ()):
                hosts.setdefault(name, []).append(node(item.child("ip", None), alias.get("ip", "")))
    if hosts:
        made["extra_hosts"] = node(spec.child("hostAliases", None), hosts)
    return made


def _dns(value: Value) -> dict[str, Any]:
    got = DNS.read(value)
    made: dict[str, Any] = {}
    for name, key in (("nameservers", "dns"), ("searches", "dns_search")):
        if got.get(name):
            made[key] = node(value.child(name, None), got[name])
    options = []
    for item in got["options"].items("a list of options") if "options" in got else ():
        with item.reading.collect():
            option = DNS_OPTION.read(item)
            need(item, "name")
            options.append(node(item, f"{option['name']}:{option['value']}" if option.get("value") else option["name"]))
    if options:
        made["dns_opt"] = node(value.child("options", None), options)
    return made
