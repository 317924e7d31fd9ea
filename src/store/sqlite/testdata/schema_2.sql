PRAGMA application_id = 1265986913;
CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO schema_version VALUES (2);
CREATE TABLE resource (
  kind TEXT NOT NULL, mesh TEXT NOT NULL, name TEXT NOT NULL,
  revision INTEGER NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL,
  labels TEXT NOT NULL,
  owner_kind TEXT, owner_mesh TEXT, owner_name TEXT,
  owned_by_proxy INTEGER NOT NULL,
  spec TEXT NOT NULL, status TEXT,
  PRIMARY KEY (kind, mesh, name));
CREATE TABLE insight (
  kind TEXT NOT NULL, mesh TEXT NOT NULL, name TEXT NOT NULL,
  revision INTEGER NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL,
  labels TEXT NOT NULL,
  owner_kind TEXT, owner_mesh TEXT, owner_name TEXT,
  owned_by_proxy INTEGER NOT NULL,
  spec TEXT NOT NULL, status TEXT,
  PRIMARY KEY (kind, mesh, name));
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counter VALUES ('revision', 3), ('reserved', 3), ('history_after', 1);
INSERT INTO resource VALUES ('Realm', '', 'r', 1, 1700000000000000000, 1700000000000000000, '{}',
  NULL, NULL, NULL, 0, '{"text":"realm","number":0}', NULL);
INSERT INTO resource VALUES ('Widget', 'm', 'w', 2, 1700000001000000000, 1700000002000000000, '{"k":"v"}',
  'Realm', '', 'r', 1, '{"text":"text","number":7}', '{"text":"status","number":8}');
INSERT INTO insight VALUES ('WidgetInsight', 'm', 'i', 3, 1700000003000000000, 1700000003000000000, '{}',
  NULL, NULL, NULL, 0, '{"text":"seen","number":9}', NULL);
CREATE TABLE history (
  revision INTEGER NOT NULL, position INTEGER NOT NULL, time INTEGER NOT NULL,
  user TEXT NOT NULL, address TEXT NOT NULL, note TEXT NOT NULL,
  kind TEXT NOT NULL, mesh TEXT NOT NULL, name TEXT NOT NULL,
  before_labels TEXT, before_spec TEXT, after_labels TEXT, after_spec TEXT,
  PRIMARY KEY (revision, position));
INSERT INTO history VALUES (2, 0, 1700000002000000000, 'ann', '10.0.0.1', 'a note', 'Widget', 'm', 'w',
  NULL, NULL, '{"k":"v"}', '{"text":"text","number":7}');
INSERT INTO history VALUES (2, 1, 1700000002000000000, 'ann', '10.0.0.1', 'a note', 'Vault', 'm', 'key',
  '{}', NULL, NULL, NULL);
