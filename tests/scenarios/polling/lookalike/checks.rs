//! What `check` says of a server that does not say what changed.

use dray_tests::site::Site;

use super::super::{AS_IT_IS, flow};
use super::LookAlike;
use crate::folder;

/// What `check` says, all of it.
fn checked(folder: &tempfile::TempDir, source: &str) -> String {
    checked_with(folder, source, AS_IT_IS)
}

/// The same of a flow with this mapping.
fn checked_with(folder: &tempfile::TempDir, source: &str, mapping: &str) -> String {
    let place = folder.path().join("site");
    std::fs::create_dir_all(&place).expect("a folder");
    let site = Site::lay_out(&place, &[flow(source, mapping)], "").expect("a site");
    match site.agent_command(&["check"]) {
        Ok(said) => {
            let said = [said.stdout, said.stderr].concat();
            String::from_utf8_lossy(&said).into_owned()
        }
        Err(said) => said.to_string(),
    }
}

#[test]
fn check_says_what_a_dba_runs_where_changes_are_not_captured() {
    let folder = folder("cdc-check");
    let alike = LookAlike::start();
    alike.insert(1..2);
    let source = alike.captured("");
    let told = checked(&folder, &source);
    assert!(told.contains("can be read, with mode = \"cdc\""), "{told}");
    assert!(told.contains("untested on a real server"), "{told}");
    for (lacks, mends, expected) in [
        (
            "UPDATE sys.databases SET is_cdc_enabled = 0",
            "UPDATE sys.databases SET is_cdc_enabled = 1",
            "EXEC sys.sp_cdc_enable_db;",
        ),
        (
            "UPDATE sys.tables SET is_tracked_by_cdc = 0",
            "UPDATE sys.tables SET is_tracked_by_cdc = 1",
            "EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'moved', @capture_instance = N'dbo_moved'",
        ),
        (
            "UPDATE sys.tables SET object_id = -object_id",
            "UPDATE sys.tables SET object_id = -object_id",
            "dray may not see it; write it with its schema, or let the DBA run GRANT SELECT ON [dbo].[moved] TO [dray];",
        ),
        (
            "REVOKE SELECT ON dbo.moved FROM dray",
            "GRANT SELECT ON dbo.moved TO dray",
            "dray may read no capture instance of dbo.moved",
        ),
        (
            "UPDATE cdc.change_tables SET capture_instance = 'dbo_moved_v2'",
            "UPDATE cdc.change_tables SET capture_instance = 'dbo_moved'",
            "it has dbo_moved_v2: write one of them as capture",
        ),
        (
            "INSERT INTO cdc.change_tables SELECT 'dbo_moved_v2', source_table, start_lsn, index_column_list, captured_column_list FROM cdc.change_tables",
            "DELETE FROM cdc.change_tables WHERE capture_instance = 'dbo_moved_v2'",
            "dbo.moved has a second capture instance, dbo_moved_v2",
        ),
        (
            "UPDATE cdc.lsn_time_mapping SET tran_end_time = tran_end_time - interval '1 hour'",
            "UPDATE cdc.lsn_time_mapping SET tran_end_time = tran_end_time + interval '1 hour'",
            "EXEC sys.sp_cdc_start_job",
        ),
        (
            "REVOKE SELECT ON cdc.\"dbo_moved_CT\" FROM dray",
            "GRANT SELECT ON cdc.\"dbo_moved_CT\" TO dray",
            "GRANT SELECT ON [cdc].[dbo_moved_CT] TO [dray];",
        ),
        (
            "UPDATE sys.columns SET is_computed = 1 WHERE name = 'id'",
            "UPDATE sys.columns SET is_computed = 0",
            "dbo.moved has columns that are computed (id)",
        ),
        (
            "UPDATE sys.database_recovery_status SET database_id = 6",
            "UPDATE sys.database_recovery_status SET database_id = 5",
            "GRANT VIEW ANY DATABASE TO [dray];",
        ),
        (
            "UPDATE cdc.change_tables SET index_column_list = NULL",
            "UPDATE cdc.change_tables SET index_column_list = '[id]'",
            "has no primary key, in whose order its rows could be read first",
        ),
    ] {
        alike.run(lacks);
        let told = checked(&folder, &source);
        assert!(told.contains(expected), "{lacks}: {told}");
        alike.run(mends);
        let told = checked(&folder, &source);
        assert!(!told.contains(expected), "{mends}: {told}");
    }
}

#[test]
fn check_says_what_a_dba_runs_where_changes_are_not_tracked() {
    let folder = folder("ct-check");
    let alike = LookAlike::start();
    let source = alike.tracked("");
    let told = checked(&folder, &source);
    assert!(
        told.contains("can be read, with mode = \"change-tracking\""),
        "{told}"
    );
    for (lacks, mends, expected) in [
        (
            "DELETE FROM sys.change_tracking_databases",
            "INSERT INTO sys.change_tracking_databases VALUES (5)",
            "SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON);",
        ),
        (
            "UPDATE sys.versions SET oldest = NULL",
            "UPDATE sys.versions SET oldest = 0",
            "ALTER TABLE [dbo].[held] ENABLE CHANGE_TRACKING; GRANT VIEW CHANGE TRACKING ON [dbo].[held] TO [dray];",
        ),
        (
            "UPDATE sys.indexes SET is_primary_key = -is_primary_key",
            "UPDATE sys.indexes SET is_primary_key = -is_primary_key",
            "dbo.held has no primary key that may be seen",
        ),
        (
            "UPDATE sys.databases SET snapshot_isolation_state = 0",
            "UPDATE sys.databases SET snapshot_isolation_state = 1",
            "SET ALLOW_SNAPSHOT_ISOLATION ON;",
        ),
    ] {
        alike.run(lacks);
        let told = checked(&folder, &source);
        assert!(told.contains(expected), "{lacks}: {told}");
        alike.run(mends);
        let told = checked(&folder, &source);
        assert!(!told.contains(expected), "{mends}: {told}");
    }
}

#[test]
fn check_holds_mappings_against_what_is_captured_or_tracked() {
    let folder = folder("told-check");
    let alike = LookAlike::start();
    let mapping = "\n[[flow.mapping]]\nrecord_type = \"TABLE\"\nbody = \"inventory_movement\"\nkey = \"number\"\nfields = { quantity = \"QUANTITY\" }\n";
    for (source, table, of_deleted) in [
        (alike.captured(""), "dbo.moved", false),
        (alike.tracked(""), "dbo.held", true),
    ] {
        let said = |quantity: &str| {
            let mapping = mapping
                .replace("TABLE", table)
                .replace("QUANTITY", quantity);
            checked_with(&folder, &source, &mapping)
        };
        let told = said("amount");
        assert!(
            told.contains("quantity: there is no column amount in the record"),
            "{told}"
        );
        let told = said("quantity");
        assert!(!told.contains("there is no column"), "{told}");
        // Of a deleted row change tracking has its key alone, and that is another column.
        assert_eq!(
            told.contains("of a deleted row of dbo.held the source does not say number")
                && told.contains("write mode = \"cdc\""),
            of_deleted,
            "{told}"
        );
        let told = checked_with(&folder, &source, &mapping.replace("TABLE", "dbo.other"));
        assert!(told.contains("no record is a \"dbo.other\""), "{told}");
    }
}
