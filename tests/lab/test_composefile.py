"""A Compose file of ten services, as example collections have them, applied as it is."""

from __future__ import annotations

import time

from tests.lab.fleet import Fleet
from tests.lab.stacks import ids, replicas

COMPOSE = """
version: "3.9"
x-tool: &tool
  image: shipyard.test/busybox:${TOOLS_TAG:-1}
  restart: unless-stopped
  stop_grace_period: 0s
  networks: [back]
services:
  proxy:
    <<: *tool
    container_name: frontend
    command: httpd -f -p 80 -h /usr/share/www
    ports: ["${HTTP_PORT}:80"]
    volumes: ["./proxy/html:/usr/share/www:ro"]
    networks: {front: , back: {aliases: [www]}}
    depends_on: [web, api]
  web:
    image: shipyard.test/guestbook:1
    environment: {LEADER: "leader:6379", FOLLOWER: "follower:6379", PORT: 8000, TITLE: "${TITLE:-Guests}"}
    depends_on:
      leader: {condition: service_healthy}
      follower: {condition: service_started}
    networks: [back]
    stop_grace_period: 0s
  leader:
    image: shipyard.test/redis:7
    command: ["redis-server", "--protected-mode", "no"]
    volumes: ["data:/data"]
    healthcheck: {test: redis-cli ping, interval: 1s, retries: 20}
    networks: [back]
  follower:
    image: shipyard.test/redis:7
    command: redis-server --protected-mode no --replicaof leader 6379
    links: [leader]
    networks: [back]
  api:
    <<: *tool
    env_file: [api.env]
    command: sh -c 'mkdir /w && echo "$$GREETING {{ .ID }}" >/w/index.html && exec httpd -f -p 80 -h /w'
  docs: {<<: *tool, command: "httpd -f -p 80 -h /docs", configs: [{source: docs, target: /docs/index.html}]}
  worker: {<<: *tool, command: [sleep, "100000"], deploy: {replicas: 2}}
  mailer:
    <<: *tool
    command: sleep 100000
    secrets: [smtp]
  metrics: {<<: *tool, command: sleep 100000, develop: {watch: []}}
  debugging: {<<: *tool, command: sleep 100000, profiles: [debug]}
  beat: {<<: *tool, command: sleep 100000, tmpfs: /run}
networks: {front: , back: }
volumes: {data: }
configs: {docs: {content: "docs of ${TITLE:-Guests}"}}
secrets: {smtp: {file: ./smtp.txt}}
"""


POST = ("wget", "-q", "-O", "-", "--post-data", "message=written", "http://web:8000/")


def test_ten_services_as_they_are(fleet: Fleet) -> None:
    node = fleet.names[0]
    fleet.write("demo/compose.yaml", COMPOSE)
    fleet.write("demo/.env", "HTTP_PORT=18080\n")
    fleet.write("demo/api.env", "GREETING='hello there'\n")
    fleet.write("demo/smtp.txt", "hidden")
    page = fleet.write("demo/proxy/html/index.html", "the first page")
    applied = fleet.shipyard("apply", "demo", "--hosts", node).expect(0)
    assert "frontend is an alias" in applied.stdout + applied.stderr
    found = replicas(fleet, "demo")
    assert len({name.partition(".")[0] for name in found}) == 10
    assert {replica["state"] for replica in found.values()} == {"running"}

    def asked(url: str) -> str:
        box = found["beat.1"]["container"]
        return fleet.runtime_cli(node, "exec", box, "wget", "-q", "-O", "-", url)

    assert asked("http://frontend/index.html") == "the first page"
    assert asked("http://api/index.html") == "hello there {{ .ID }}\n"
    assert asked("http://docs/index.html") == "docs of Guests"
    assert "Guests" in asked("http://web:8000/")
    # busybox's wget posts again to where the answer leads, and gives up; it is written by then
    fleet.runtime_cli(node, "exec", found["beat.1"]["container"], *POST, check=False)
    deadline = time.monotonic() + 20
    while "written" not in asked("http://web:8000/"):
        assert time.monotonic() < deadline, "the follower never had what was written"
        time.sleep(0.2)
    assert fleet.runtime_cli(node, "exec", found["mailer.1"]["container"], "cat", "/run/secrets/smtp") == "hidden"
    before = ids(fleet, "demo")
    fleet.shipyard("apply", "demo", "--hosts", node).expect(0)
    assert ids(fleet, "demo") == before
    page.write_text("the second page")
    fleet.shipyard("apply", "demo", "--hosts", node).expect(0)
    changed = {name.split("-")[1] for name, identity in ids(fleet, "demo").items() if before.get(name) != identity}
    assert changed == {"proxy"}
    assert asked("http://frontend/index.html") == "the second page"
