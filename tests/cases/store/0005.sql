-- A store as schema 0005 left it, with something in every table.
INSERT INTO store (id, cluster, uuid, written_by, clock, clock_ahead, epoch, memory_version)
  VALUES (1, 'c0ffee', '11111111-2222-3333-4444-555555555555', '0.1.0', 1000.0, 0.0, 7, 3);
INSERT INTO lease (epoch, holder, host, pid, process_started, since, expires)
  VALUES (7, '', 'boot pid:[1]', 42, '99', 900.0, 960.0);
INSERT INTO stacks (name, head, last_number, removing) VALUES ('guestbook', 2, 2, 0), ('gone', NULL, 4, 0);
INSERT INTO revisions (stack, number, digest, body, created, author, files, note) VALUES
  ('guestbook', 1, 'd1', '{"name":"guestbook","services":[{"container":{"image":"a"},"name":"web"}]}', 800.0, 'alice@laptop', '["a.yml"]', ''),
  ('guestbook', 2, 'd2', '{"name":"guestbook","services":[{"container":{"image":"b"},"name":"web"}]}', 900.0, 'alice@laptop', '["a.yml"]', 'why');
INSERT INTO placements (stack, service, slot, node, incarnation, revision) VALUES ('guestbook', 'web', 1, 'node1', 3, 2);
INSERT INTO failures (stack, service, slot, spec, count, retry_at, reason, message, container, restarts, last)
  VALUES ('guestbook', 'web', 1, 'v1:ab', 2, 990.0, 'Crashed', 'exit 1', 'id', 1, 980.0);
INSERT INTO node_memory (name, state, since, misses, silent_for, last_miss, last_seen, kind, message)
  VALUES ('node1', 'ready', 700.0, 0, 0.0, 0.0, 950.0, '', '');
INSERT INTO volumes (node, name, stack) VALUES ('node1', 'guestbook_data', 'guestbook');
INSERT INTO nodes (name, node, connection, first_seen, facts)
  VALUES ('node1', '{"address":"10.0.0.1","name":"node1"}', '{"address":"10.0.0.1"}', 700.0, '{"cpus":4}');
INSERT INTO passes (id, kind, holder, epoch, since, started, finished, result, changes, times)
  VALUES (5, 'apply', 'alice@laptop', 7, 900.0, 900.0, 950.0, 'converged', 1, 1);
INSERT INTO actions (pass_id, wave, number, node, verb, target, reason, detail, status, message, started, seconds)
  VALUES (5, 1, 1, 'node1', 'create-container', 'guestbook/web.1', 'Missing', 'it is not there', 'done', '', 910.0, 2.0);
INSERT INTO events (id, first, at, reason, target, node, message, warning, times)
  VALUES (9, 910.0, 912.0, 'Created', 'guestbook/web.1', 'node1', 'made', 0, 2);
INSERT INTO remembered (kind, key, body)
  VALUES ('rollouts', '["guestbook", "web"]', '{"message":"unhealthy","revision":2,"service":"web","since":980.0,"stack":"guestbook","state":"paused"}');
INSERT INTO secrets (name, digest, key, sealed, current, created, author)
  VALUES ('guestbook/password', 'ab', '0123456789abcdef', 'c2VhbGVk', 1, 890.0, 'alice@laptop');
INSERT INTO questions (node, body) VALUES ('node1', '{"cluster":"c1","name":"node1","runtime":"docker"}');
INSERT INTO configs (name, content, digest, created, author)
  VALUES ('motd', X'00FF0A', 'cd', 895.0, 'alice@laptop');
INSERT INTO remembered (kind, key, body)
  VALUES ('probed', '["guestbook", "web", 1, "id"]', '{"age":20.0,"container":"id","counts":[{"holds":true,"name":"readiness","passed":true,"probe":"ab","row":1,"tried":990.0}],"node":"node1","restarts":0,"service":"web","slot":1,"stack":"guestbook"}');
