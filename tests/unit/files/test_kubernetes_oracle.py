"""Kubernetes' own schemas: what is taken here is taken there, and each of their fields has a word said of it."""

from __future__ import annotations

import importlib.resources
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from shipyard.files import kubernetes  # noqa: F401  # so that all tables are there
from shipyard.files.kubernetes.fields import TABLES

CASES = Path(__file__).parents[2] / "cases" / "kubernetes"
SCHEMAS = {
    "metadata": "objectmeta-meta-v1",
    "a ConfigMap": "configmap-v1",
    "a Secret": "secret-v1",
    "a claim's spec": "persistentvolumeclaimspec-v1",
    "a variable": "envvar-v1",
    "a variable's source": "envvarsource-v1",
    "a reference to a key": "configmapkeyselector-v1",
    "an entry of envFrom": "envfromsource-v1",
    "a reference to a field": "objectfieldselector-v1",
    "a reference to a resource": "resourcefieldselector-v1",
    "a probe": "probe-v1",
    "an httpGet": "httpgetaction-v1",
    "a tcpSocket": "tcpsocketaction-v1",
    "an exec": "execaction-v1",
    "a pod's securityContext": "podsecuritycontext-v1",
    "a container's securityContext": "securitycontext-v1",
    "a profile": "seccompprofile-v1",
    "a volume": "volume-v1",
    "an emptyDir": "emptydirvolumesource-v1",
    "a hostPath": "hostpathvolumesource-v1",
    "a persistentVolumeClaim": "persistentvolumeclaimvolumesource-v1",
    "an nfs": "nfsvolumesource-v1",
    "a volume mount": "volumemount-v1",
    "a configMap": "configmapvolumesource-v1",
    "a secret": "secretvolumesource-v1",
    "a projected": "projectedvolumesource-v1",
    "a source of projected": "volumeprojection-v1",
    "a downwardAPI": "downwardapivolumesource-v1",
    "an item": "keytopath-v1",
    "an item of downwardAPI": "downwardapivolumefile-v1",
    "an affinity": "affinity-v1",
    "a nodeAffinity": "nodeaffinity-v1",
    "a podAffinity": "podaffinity-v1",
    "a podAffinityTerm": "podaffinityterm-v1",
    "a spread constraint": "topologyspreadconstraint-v1",
    "a toleration": "toleration-v1",
    "a container": "container-v1",
    "a port": "containerport-v1",
    "resources": "resourcerequirements-v1",
    "a lifecycle": "lifecycle-v1",
    "a pod": "podspec-v1",
    "a dnsConfig": "poddnsconfig-v1",
    "a Deployment's spec": "deploymentspec-apps-v1",
    "a strategy": "deploymentstrategy-apps-v1",
    "a Deployment's rollingUpdate": "rollingupdatedeployment-apps-v1",
    "a StatefulSet's spec": "statefulsetspec-apps-v1",
    "a StatefulSet's rollingUpdate": "rollingupdatestatefulsetstrategy-apps-v1",
    "a DaemonSet's spec": "daemonsetspec-apps-v1",
    "a DaemonSet's rollingUpdate": "rollingupdatedaemonset-apps-v1",
    "a ReplicaSet's spec": "replicasetspec-apps-v1",
    "a Job's spec": "jobspec-batch-v1",
    "a CronJob's spec": "cronjobspec-batch-v1",
    "a Service's spec": "servicespec-v1",
    "a Service's port": "serviceport-v1",
    "an autoscaler's spec": "horizontalpodautoscalerspec-autoscaling-v2",
    "a metric": "metricspec-autoscaling-v2",
    "a NetworkPolicy's spec": "networkpolicyspec-networking-v1",
    "a peer": "networkpolicypeer-networking-v1",
    "a port of a policy": "networkpolicyport-networking-v1",
    "a selector": "labelselector-meta-v1",
}
"""The names of Kubernetes' definitions, by ours."""
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(
        importlib.util.find_spec("kubernetes_validate") is None,
        reason="needs kubernetes-validate, which the extra dev brings",
    ),
]


def test_what_is_taken_here_is_taken_there() -> None:
    import kubernetes_validate

    newest = kubernetes_validate.latest_version()
    for case in yaml.safe_load((CASES / "good.yml").read_text()):
        for document in yaml.safe_load_all(case["file"]):
            kubernetes_validate.validate(document, newest, strict=True)
    for path in sorted((CASES / "guestbook").iterdir()):
        for document in yaml.safe_load_all(path.read_text()):
            kubernetes_validate.validate(document, newest, strict=True)


def test_each_field_of_theirs_is_in_a_table() -> None:
    """What Kubernetes has is carried out, said or refused by name; no slip of the pen is guessed of it."""
    import kubernetes_validate

    folder = importlib.resources.files("kubernetes_validate") / "kubernetes-json-schema"
    own = {table.title: set(table.fields) for table in TABLES}
    version = kubernetes_validate.latest_version()
    missing: dict[str, Any] = {}
    for title, name in SCHEMAS.items():
        schema = json.loads((folder / f"v{version}-local-strict" / f"{name}.json").read_text())
        lacking = set(schema["properties"]) - own[title]
        if lacking:
            missing[title] = sorted(lacking)
    assert missing == {}
