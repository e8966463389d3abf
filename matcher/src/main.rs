//! `wugan-matcher`: the program of the matcher.

use std::process::ExitCode;

use wugan_matcher::service;
use wugan_transport::server::Program;

fn main() -> ExitCode {
    let program = Program {
        name: "wugan-matcher",
        about: "The matcher: compares tags without seeing rows",
        run: service::run,
        check: service::check,
    };
    program.main()
}
