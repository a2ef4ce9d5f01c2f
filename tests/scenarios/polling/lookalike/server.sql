-- What stands in for SQL Server: tables and functions of its names, in PostgreSQL. A trigger does what the capture job does from the log: in a
-- transaction of the writer, so that no reader sees half of it. Writers of captured tables wait for each other: LSNs are given in the order of commits.

CREATE SCHEMA dbo;
CREATE SCHEMA cdc;
CREATE SCHEMA sys;

-- The key is looked at when a statement ends, as SQL Server does: SET id = id + 1 is good.
CREATE TABLE dbo.moved (id bigint PRIMARY KEY DEFERRABLE, number text NOT NULL, sku text, quantity numeric(12,3));

CREATE TABLE cdc.change_tables (capture_instance text PRIMARY KEY, source_table text, start_lsn bytea NOT NULL, index_column_list text, captured_column_list text);
CREATE TABLE cdc.lsn_time_mapping (start_lsn bytea PRIMARY KEY, tran_end_time timestamp NOT NULL);
CREATE TABLE cdc."dbo_moved_CT" (
    "__$start_lsn" bytea, "__$seqval" bytea, "__$operation" integer, "__$update_mask" bytea,
    id bigint, number text, sku text, quantity numeric(12,3), "__$command_id" integer,
    PRIMARY KEY ("__$start_lsn", "__$command_id", "__$seqval", "__$operation")
);
-- What the function gives of it.
CREATE TYPE cdc.moved_change AS (
    "__$start_lsn" bytea, "__$seqval" bytea, "__$operation" integer, "__$update_mask" bytea, id bigint, number text, sku text, quantity numeric(12,3)
);
-- How far the capture job has come, where it is held up.
CREATE TABLE cdc.job (through bytea);
INSERT INTO cdc.job VALUES (NULL);
-- What was asked for: how far changes are kept, and changes through an LSN.
CREATE TABLE cdc.asked (number bigserial PRIMARY KEY, through bytea);
CREATE SEQUENCE cdc.lsn;
CREATE SEQUENCE cdc.seqval;

CREATE FUNCTION cdc.number(n bigint) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$ SELECT decode(lpad(to_hex(n), 20, '0'), 'hex') $$;

CREATE FUNCTION cdc.transaction_lsn() RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE lsn bytea := decode(nullif(current_setting('cdc.transaction', true), ''), 'hex');
BEGIN
    IF lsn IS NULL THEN
        PERFORM pg_advisory_xact_lock(7);
        -- Numbers of transactions have gaps.
        lsn := cdc.number(16 * nextval('cdc.lsn'));
        PERFORM set_config('cdc.transaction', encode(lsn, 'hex'), true);
        INSERT INTO cdc.lsn_time_mapping VALUES (lsn, clock_timestamp() AT TIME ZONE 'UTC');
    END IF;
    RETURN lsn;
END $$;

CREATE FUNCTION cdc.capture_moved() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    lsn bytea := cdc.transaction_lsn();
    seq bytea := cdc.number(nextval('cdc.seqval'));
    first integer := 3;
    last integer := 4;
    command integer := current_setting('cdc.command')::integer;
    next integer := command;
BEGIN
    -- A key that changes is a row that goes and one that comes: first all of the statement go.
    IF TG_OP = 'UPDATE' AND OLD.id <> NEW.id THEN first := 1; last := 2; next := command + 1; END IF;
    IF TG_OP = 'DELETE' THEN first := 1; END IF;
    IF TG_OP = 'INSERT' THEN last := 2; END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO cdc."dbo_moved_CT" VALUES (lsn, seq, first, '\x0f', OLD.id, OLD.number, OLD.sku, OLD.quantity, command);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO cdc."dbo_moved_CT" VALUES (lsn, seq, last, '\x0f', NEW.id, NEW.number, NEW.sku, NEW.quantity, next);
    END IF;
    RETURN NULL;
END $$;

-- Operations of a transaction are numbered in their order.
CREATE FUNCTION cdc.begin_command() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('cdc.command', (coalesce(nullif(current_setting('cdc.command', true), ''), '0')::integer + 2)::text, true);
    RETURN NULL;
END $$;

CREATE TRIGGER command BEFORE INSERT OR UPDATE OR DELETE ON dbo.moved FOR EACH STATEMENT EXECUTE FUNCTION cdc.begin_command();
CREATE TRIGGER capture AFTER INSERT OR UPDATE OR DELETE ON dbo.moved FOR EACH ROW EXECUTE FUNCTION cdc.capture_moved();

CREATE FUNCTION sys.fn_cdc_get_max_lsn() RETURNS bytea LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT start_lsn FROM cdc.lsn_time_mapping
    WHERE start_lsn <= coalesce((SELECT through FROM cdc.job), '\xffffffffffffffffffff') ORDER BY start_lsn DESC LIMIT 1
$$;

CREATE FUNCTION sys.fn_cdc_get_min_lsn(capture text) RETURNS bytea LANGUAGE sql VOLATILE SECURITY DEFINER AS $$
    INSERT INTO cdc.asked (through) VALUES (NULL);
    SELECT coalesce((SELECT start_lsn FROM cdc.change_tables WHERE capture_instance = capture), '\x00000000000000000000')
$$;

CREATE FUNCTION sys.fn_cdc_map_lsn_to_time(lsn bytea) RETURNS timestamp LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT tran_end_time FROM cdc.lsn_time_mapping WHERE start_lsn = lsn
$$;

CREATE FUNCTION cdc.fn_cdc_get_all_changes_dbo_moved(from_lsn bytea, to_lsn bytea, wanted text) RETURNS SETOF cdc.moved_change
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
BEGIN
    INSERT INTO cdc.asked (through) VALUES (to_lsn);
    IF wanted <> 'all update old' OR from_lsn > to_lsn OR to_lsn > sys.fn_cdc_get_max_lsn() OR from_lsn < (SELECT start_lsn FROM cdc.change_tables WHERE capture_instance = 'dbo_moved') THEN
        RAISE EXCEPTION 'An insufficient number of arguments were supplied for the procedure or function cdc.fn_cdc_get_all_changes_ ... .';
    END IF;
    RETURN QUERY SELECT c."__$start_lsn", c."__$seqval", c."__$operation", c."__$update_mask", c.id, c.number, c.sku, c.quantity FROM cdc."dbo_moved_CT" c WHERE c."__$start_lsn" BETWEEN from_lsn AND to_lsn;
END $$;

CREATE FUNCTION sys.sp_cdc_help_change_data_capture(source_schema text, source_name text)
RETURNS TABLE (source_table text, capture_instance text, start_lsn bytea, index_column_list text, captured_column_list text)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT t.source_table, t.capture_instance, t.start_lsn, t.index_column_list, t.captured_column_list FROM cdc.change_tables t
    WHERE t.source_table = source_name AND has_table_privilege(session_user, source_schema || '.' || source_name, 'SELECT')
$$;

-- What the cleanup job does, a little at a time.
CREATE FUNCTION cdc.cleanup(low bytea) RETURNS void LANGUAGE sql AS $$
    UPDATE cdc.change_tables SET start_lsn = low;
    DELETE FROM cdc."dbo_moved_CT" WHERE "__$start_lsn" < low;
    DELETE FROM cdc.lsn_time_mapping WHERE start_lsn < low;
$$;

-- Change tracking, of a table with a key of two columns.

CREATE TABLE dbo.held (site integer, id bigint, number text NOT NULL, quantity numeric(12,3), PRIMARY KEY (site, id));
CREATE TABLE sys.tracked (version bigint, op char(1), site integer, id bigint);
CREATE INDEX ON sys.tracked (version);
CREATE TABLE sys.versions (newest bigint, oldest bigint);
INSERT INTO sys.versions VALUES (0, 0);

CREATE FUNCTION sys.track_held() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE now bigint := nullif(current_setting('cdc.version', true), '')::bigint;
BEGIN
    IF now IS NULL THEN
        -- It is locked until the transaction's end: versions are given in the order of commits.
        UPDATE sys.versions SET newest = newest + 1 RETURNING newest INTO now;
        PERFORM set_config('cdc.version', now::text, true);
    END IF;
    INSERT INTO sys.tracked VALUES (now, left(TG_OP, 1), coalesce(NEW.site, OLD.site), coalesce(NEW.id, OLD.id));
    RETURN NULL;
END $$;

CREATE TRIGGER track AFTER INSERT OR UPDATE OR DELETE ON dbo.held FOR EACH ROW EXECUTE FUNCTION sys.track_held();

-- Each key once, with its last version, and what became of it since then.
CREATE FUNCTION sys.changes_dbo_held(since bigint) RETURNS TABLE (sys_change_version bigint, sys_change_operation text, site integer, id bigint)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT max(version),
        CASE WHEN (array_agg(op ORDER BY version DESC))[1] = 'D' THEN 'D' WHEN (array_agg(op ORDER BY version))[1] = 'I' THEN 'I' ELSE 'U' END,
        t.site, t.id
    FROM sys.tracked t WHERE version > since GROUP BY t.site, t.id
$$;

CREATE FUNCTION change_tracking_current_version() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER AS $$ SELECT newest FROM sys.versions $$;
CREATE FUNCTION change_tracking_min_valid_version(object integer) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT oldest FROM sys.versions WHERE object IS NOT NULL
$$;
CREATE FUNCTION sys.forget(through bigint) RETURNS void LANGUAGE sql AS $$
    UPDATE sys.versions SET oldest = through;
    DELETE FROM sys.tracked WHERE version <= through;
$$;

-- What SQL Server says of itself.

CREATE FUNCTION db_name() RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'wms' $$;
CREATE FUNCTION db_id() RETURNS integer LANGUAGE sql STABLE AS $$ SELECT 5 $$;
CREATE FUNCTION object_id(name text) RETURNS integer LANGUAGE sql STABLE AS $$ SELECT to_regclass(name)::oid::bigint::integer $$;

CREATE TABLE sys.databases (name text, is_cdc_enabled integer, snapshot_isolation_state integer);
INSERT INTO sys.databases VALUES ('wms', 1, 1);
CREATE TABLE sys.change_tracking_databases (database_id integer);
INSERT INTO sys.change_tracking_databases VALUES (5);
CREATE TABLE sys.tables (object_id integer, is_tracked_by_cdc integer);
INSERT INTO sys.tables VALUES (object_id('dbo.moved'), 1);
CREATE TABLE sys.indexes (object_id integer, index_id integer, is_primary_key integer);
CREATE TABLE sys.index_columns (object_id integer, index_id integer, column_id integer, key_ordinal integer);
CREATE TABLE sys.columns (object_id integer, column_id integer, name text, is_computed integer DEFAULT 0);
INSERT INTO sys.indexes VALUES (object_id('dbo.held'), 1, 1), (object_id('dbo.held'), 2, 0);
INSERT INTO sys.index_columns VALUES (object_id('dbo.held'), 1, 1, 1), (object_id('dbo.held'), 1, 2, 2), (object_id('dbo.held'), 2, 3, 1);
INSERT INTO sys.columns VALUES (object_id('dbo.held'), 1, 'site'), (object_id('dbo.held'), 2, 'id'), (object_id('dbo.held'), 3, 'number');

INSERT INTO sys.columns VALUES (object_id('dbo.moved'), 1, 'id'), (object_id('cdc."dbo_moved_CT"'), 9, '__$command_id');
CREATE FUNCTION has_perms_by_name(name text, class text, permission text) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT has_table_privilege(session_user, to_regclass(name), permission)::integer
$$;
-- A restore begins another recovery fork.
CREATE TABLE sys.database_recovery_status (database_id integer, recovery_fork_guid uuid);
INSERT INTO sys.database_recovery_status VALUES (5, gen_random_uuid());

INSERT INTO cdc.change_tables VALUES ('dbo_moved', 'moved', cdc.number(1), '[id]', '[id], [number], [sku], [quantity]');

GRANT USAGE ON SCHEMA dbo, cdc, sys TO dray;
GRANT SELECT ON dbo.moved, dbo.held TO dray;
GRANT SELECT ON ALL TABLES IN SCHEMA sys TO dray;
REVOKE SELECT ON sys.tracked, sys.versions FROM dray;
