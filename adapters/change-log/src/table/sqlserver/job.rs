//! The capture job, which writes changes from the log into the change tables: what it has not written can't be read. Pure.

/// It writes something at least every five minutes.
const SILENCE_SECONDS_MAX: i64 = 900;

/// What is said of a capture job that has been silent for so many seconds, or always.
pub(super) fn silent(seconds: Option<&str>) -> Option<String> {
    let seconds: Option<i64> = seconds.and_then(|text| text.parse().ok());
    let long = match seconds {
        Some(seconds) if seconds <= SILENCE_SECONDS_MAX => return None,
        Some(seconds) => format!("for {seconds} s"),
        None => "yet".to_owned(),
    };
    Some(format!(
        "the capture job has written nothing {long}: let the DBA look whether SQL Server Agent runs, and run EXEC sys.sp_cdc_start_job @job_type = N'capture';"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_job_is_told_of() {
        assert_eq!(silent(Some("299")), None);
        let told = silent(Some("901")).expect("it is silent");
        assert!(told.contains("nothing for 901 s"), "{told}");
        assert!(silent(None).expect("it is silent").contains("nothing yet"));
    }
}
