PRAGMA user_version=2;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO setting VALUES('incarnation','fee7891608dd8583');
INSERT INTO setting VALUES('paused:erp','by uid 991');
INSERT INTO setting VALUES('store','ad61cee46cbbf0d3');
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
CREATE TABLE shadow (
        id INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, flow TEXT NOT NULL, event_offset INTEGER NOT NULL,
        key TEXT NOT NULL, verdict TEXT NOT NULL, at_us INTEGER NOT NULL, request TEXT NOT NULL, detail TEXT NOT NULL,
        UNIQUE (target, flow, event_offset)
    ) STRICT;
CREATE TABLE shadow_count (
        target TEXT NOT NULL, flow TEXT NOT NULL, is_field INTEGER NOT NULL, what TEXT NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (target, flow, is_field, what)
    ) STRICT, WITHOUT ROWID;
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('exception',1);
INSERT INTO sqlite_sequence VALUES('audit',1);
CREATE INDEX exception_by_key ON exception (target, flow, key, id);
COMMIT;
