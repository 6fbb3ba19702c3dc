"""`securityContext` of pods and containers: who runs, with which rights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipyard.files.compose.value import Value
from shipyard.files.composefile.nodes import Node
from shipyard.files.kubernetes.fields import Fields, done, itself, refused, said, warn
from shipyard.files.kubernetes.scalars import boolean, text, texts, whole, word
from shipyard.files.kubernetes.tree import node

_ID = whole(0, 2**32 - 2)
_WHO = (
    done("runAsUser", "`user`", _ID),
    done("runAsGroup", "the group of `user`", _ID),
    done("runAsNonRoot", "held against `runAsUser`; without one said that nobody checks the image's", boolean),
    done("seccompProfile", "`RuntimeDefault`, `Unconfined`", itself),
    done("appArmorProfile", "`RuntimeDefault`, `Unconfined`", itself),
    done("seLinuxOptions", "`security_opt: label:…`", itself),
    refused("windowsOptions", "is for Windows"),
)
POD = Fields(
    "a pod's securityContext",
    *_WHO,
    done("fsGroup", "`group_add`; said that the ownership of volumes stays", _ID),
    said("fsGroupChangePolicy", "has no effect: the ownership of volumes stays as it is"),
    done("supplementalGroups", "`group_add`", itself),
    said("supplementalGroupsPolicy", "has no effect here", "Merge"),
    done("sysctls", "`sysctls`", itself),
    said("seLinuxChangePolicy", "has no effect here"),
)
CONTAINER = Fields(
    "a container's securityContext",
    *_WHO,
    done("privileged", "`privileged`; the plan says so", boolean),
    done("allowPrivilegeEscalation", "`false`: `no-new-privileges`", boolean),
    done("readOnlyRootFilesystem", "`read_only`", boolean),
    done("capabilities", "`cap_add`, `cap_drop`", itself),
    refused("procMount", "is not carried out", "", "Default"),
)
CAPABILITIES = Fields("capabilities", done("add", "`cap_add`", texts), done("drop", "`cap_drop`", texts))
PROFILE = Fields(
    "a profile",
    done("type", "`RuntimeDefault`, `Unconfined`", word("RuntimeDefault", "Unconfined", "Localhost")),
    refused("localhostProfile", "is a file of the nodes, which is not carried out"),
)
SELINUX = Fields(
    "seLinuxOptions", *(done(name, f"`label:{name}:…`", text) for name in ("user", "role", "type", "level"))
)
SYSCTL = Fields("a sysctl", done("name", "the name", text), done("value", "the value", text))


def pod(value: Value | None) -> dict[str, Any]:
    """What the pod says for all of its containers."""
    if value is None:
        return {}
    got = POD.read(value)
    if "fsGroup" in got:
        warn(value.child("fsGroup", None), "is a group of the containers; the ownership of volumes stays as it is")
    return {**got, "": value}


def sysctls(context: Mapping[str, Any]) -> dict[str, Node]:
    made = {}
    for item in context["sysctls"].items("a list of sysctls") if "sysctls" in context else ():
        with item.reading.collect():
            got = SYSCTL.read(item)
            if "name" not in got or "value" not in got:
                raise item.error("has no name or no value")
            made[got["name"]] = node(item, got["value"])
    return made


def keys(value: Value | None, whole_pod: Mapping[str, Any]) -> dict[str, Any]:
    """A container's keys, from its own context over that of the pod."""
    own = {**CONTAINER.read(value), "": value} if value is not None else {}

    def said_by(name: str) -> tuple[Any, Value] | None:
        for context in (own, whole_pod):
            if name in context:
                return context[name], context[""].child(name, None)
        return None

    made: dict[str, Any] = {**_user(said_by), **_groups(whole_pod)}
    options: list[Any] = []
    if own.get("allowPrivilegeEscalation") is False and value is not None:
        options.append(node(value.child("allowPrivilegeEscalation", None), "no-new-privileges:true"))
    for name, option in (("seccompProfile", "seccomp"), ("appArmorProfile", "apparmor")):
        found = said_by(name)
        if found is not None and _unconfined(found[0]):
            options.append(node(found[1], f"{option}:unconfined"))
    selinux = said_by("seLinuxOptions")
    if selinux is not None:
        options += [node(selinux[1], f"label:{key}:{word_}") for key, word_ in SELINUX.read(selinux[0]).items()]
    if options:
        made["security_opt"] = options
    for name, key in (("privileged", "privileged"), ("readOnlyRootFilesystem", "read_only")):
        if own.get(name) and value is not None:
            made[key] = node(value.child(name, None), True)
    if "capabilities" in own:
        changed = CAPABILITIES.read(own["capabilities"])
        for name in ("add", "drop"):
            if changed.get(name):
                made[f"cap_{name}"] = node(own["capabilities"].child(name, None), changed[name])
    return made


def _user(said_by: Any) -> dict[str, Any]:
    user, group, careful = said_by("runAsUser"), said_by("runAsGroup"), said_by("runAsNonRoot")
    if careful is not None and careful[0]:
        if user is None:
            warn(
                careful[1],
                "is not checked: the image's own user counts",
            )
        elif user[0] == 0:
            raise user[1].error("is 0, and runAsNonRoot forbids that")
    if user is None:
        if group is not None:
            raise group[1].error("can only be said together with runAsUser")
        return {}
    return {"user": node(user[1], f"{user[0]}:{group[0]}" if group is not None else f"{user[0]}")}


def _groups(whole_pod: Mapping[str, Any]) -> dict[str, Any]:
    groups: list[Any] = []
    if "fsGroup" in whole_pod:
        groups.append(node(whole_pod[""].child("fsGroup", None), str(whole_pod["fsGroup"])))
    for item in whole_pod["supplementalGroups"].items("a list of groups") if "supplementalGroups" in whole_pod else ():
        groups.append(node(item, str(_ID(item))))
    return {"group_add": groups} if groups else {}


def _unconfined(value: Value) -> bool:
    kind = PROFILE.read(value).get("type")
    if kind == "Localhost":
        raise value.error("Localhost names a file of the nodes, which is not carried out")
    return bool(kind == "Unconfined")
