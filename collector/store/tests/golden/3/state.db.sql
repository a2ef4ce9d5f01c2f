PRAGMA user_version=3;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO setting VALUES('incarnation','d0003e339d541b4d');
INSERT INTO setting VALUES('paused:erp','by uid 991');
INSERT INTO setting VALUES('store','77e1b5f10b60314f');
CREATE TABLE cursor (
        consumer TEXT NOT NULL, flow TEXT NOT NULL, through INTEGER NOT NULL, above BLOB NOT NULL,
        PRIMARY KEY (consumer, flow)
    ) STRICT, WITHOUT ROWID;
INSERT INTO cursor VALUES('target:erp','north/movements',13,X'3a300000010000000000020010000000020003000900');
CREATE TABLE sent (
        consumer TEXT NOT NULL, flow TEXT NOT NULL, through INTEGER NOT NULL, PRIMARY KEY (consumer, flow)
    ) STRICT, WITHOUT ROWID;
CREATE TABLE exception (
        id INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, flow TEXT NOT NULL, event_offset INTEGER NOT NULL,
        key TEXT NOT NULL, state INTEGER NOT NULL, reason TEXT NOT NULL, at_us INTEGER NOT NULL, event BLOB NOT NULL,
        detail TEXT NOT NULL DEFAULT '', UNIQUE (target, flow, event_offset)
    ) STRICT;
INSERT INTO exception VALUES(1,'erp','north/movements',14,'4711',1,'the item is unknown',1700000000000000,X'6576656e74','');
CREATE TABLE token (
        secret_sha256 TEXT PRIMARY KEY, site TEXT NOT NULL, ends_s INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
INSERT INTO token VALUES('ef','south',1800000000);
CREATE TABLE agent (
        agent TEXT PRIMARY KEY, site TEXT NOT NULL, key_sha256 TEXT NOT NULL, certificate_ends_s INTEGER NOT NULL,
        revoked INTEGER NOT NULL, last_seen_s INTEGER NOT NULL, version TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
INSERT INTO agent VALUES('a-1','north','abababababababababababababababababababababababababababababababab',1800000000,0,1700000000,'0.1.0');
CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
        subject TEXT NOT NULL, detail TEXT NOT NULL, hash BLOB NOT NULL DEFAULT x''
    ) STRICT;
INSERT INTO audit VALUES(1,1700000000000000,'uid 991','move','north/movements','to a-1',X'6582de5c1ba1d201ef5888e4a28b4e0d4f3225b73cbdaf74fbe5ffeb32ebd0cf');
INSERT INTO audit VALUES(2,1700000000000000,'uid 991','move','replay 1','to a-1',X'4edbfbf32d12269ee82d54a685f4ec7f79fd8ad20b73ef944fa0ebf45542a61e');
CREATE TABLE replay (
        id INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, planned_by TEXT NOT NULL, at_us INTEGER NOT NULL,
        expires_us INTEGER NOT NULL, state INTEGER NOT NULL, plan TEXT NOT NULL, selection BLOB NOT NULL, hash BLOB NOT NULL,
        approved_by TEXT NOT NULL, approved_us INTEGER NOT NULL, ended_us INTEGER NOT NULL, through INTEGER NOT NULL,
        above BLOB NOT NULL, delivered INTEGER NOT NULL, accepted INTEGER NOT NULL, refused INTEGER NOT NULL,
        overtaken INTEGER NOT NULL, held INTEGER NOT NULL, gone INTEGER NOT NULL
    ) STRICT;
INSERT INTO replay VALUES(1,'erp','uid 1001',1700000000000000,1700086400000000,1,'{}',X'73656c656374696f6e',X'0707070707070707070707070707070707070707070707070707070707070707','',0,0,0,X'3a30000000000000',0,0,0,0,0,0);
CREATE TABLE replay_note (
        replay INTEGER NOT NULL, id INTEGER NOT NULL, flow TEXT NOT NULL, event_offset INTEGER NOT NULL, key TEXT NOT NULL,
        reason TEXT NOT NULL, PRIMARY KEY (replay, id)
    ) STRICT, WITHOUT ROWID;
CREATE TABLE shadow (
        id INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, flow TEXT NOT NULL, event_offset INTEGER NOT NULL,
        key TEXT NOT NULL, verdict TEXT NOT NULL, at_us INTEGER NOT NULL, request TEXT NOT NULL, detail TEXT NOT NULL,
        UNIQUE (target, flow, event_offset)
    ) STRICT;
CREATE TABLE shadow_count (
        target TEXT NOT NULL, flow TEXT NOT NULL, is_field INTEGER NOT NULL, what TEXT NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (target, flow, is_field, what)
    ) STRICT, WITHOUT ROWID;
CREATE TABLE known (
        target TEXT NOT NULL, of TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (target, of, name)
    ) STRICT, WITHOUT ROWID;
INSERT INTO known VALUES('erp','item','SKU-1');
CREATE TABLE awaited (
        exception INTEGER PRIMARY KEY, target TEXT NOT NULL, of TEXT NOT NULL, name TEXT NOT NULL,
        due_us INTEGER NOT NULL, alarm_us INTEGER NOT NULL
    ) STRICT;
INSERT INTO awaited VALUES(1,'erp','item','SKU-2',2000000000000000,1700000000000000);
CREATE TABLE kept (
        id INTEGER PRIMARY KEY, target TEXT NOT NULL, flow TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL,
        value TEXT NOT NULL, UNIQUE (target, flow, key, name)
    ) STRICT;
INSERT INTO kept VALUES(1,'erp','north/movements','4711','document_id','D-1');
CREATE TABLE remembered (
        target TEXT PRIMARY KEY, known INTEGER NOT NULL, kept INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
INSERT INTO remembered VALUES('erp',1,1);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('exception',1);
INSERT INTO sqlite_sequence VALUES('audit',2);
INSERT INTO sqlite_sequence VALUES('replay',1);
CREATE INDEX exception_by_key ON exception (target, flow, key, id);
CREATE INDEX awaited_by_reference ON awaited (target, of, name);
CREATE INDEX awaited_by_due ON awaited (target, due_us);
CREATE INDEX awaited_by_alarm ON awaited (target, alarm_us);
CREATE INDEX kept_by_age ON kept (target, id);
COMMIT;
