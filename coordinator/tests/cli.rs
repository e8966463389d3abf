//! The built `wugan-coordinator`: what it refuses before it asks the service.
#![allow(clippy::unwrap_used)]

use std::process::Command;

fn open(month: &str, language: &str) -> (Option<i32>, String) {
    let line = ["round", "open", "--socket", "/nonexistent/admin.sock", "--month"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_wugan-coordinator"));
    let output = command.args(line).args(month.split(' ')).env("LC_ALL", language).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_typing_error_in_the_year_does_not_reach_the_service() {
    for (language, why) in [("C", "2099-12 has not begun"), ("zh_CN.UTF-8", "2099-12 尚未开始")] {
        let (code, refused) = open("2099-12", language);
        assert!(code == Some(1) && refused.contains(why) && refused.contains("--ahead"), "{code:?} {refused}");
        // Asked, there is no service.
        for meant in ["2099-12 --ahead", "2026-06"] {
            let (code, refused) = open(meant, language);
            assert!(code == Some(1) && refused.contains("/nonexistent/admin.sock"), "{code:?} {refused}");
        }
    }
}
