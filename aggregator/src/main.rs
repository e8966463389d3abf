//! `wugan-aggregator`: the program of the aggregator.

use std::process::ExitCode;

use wugan_aggregator::service;
use wugan_transport::server::Program;

fn main() -> ExitCode {
    let program = Program {
        name: "wugan-aggregator",
        about: "The aggregator: turns matches into signal bits of rows without seeing tags",
        run: service::run,
        check: service::check,
    };
    program.main()
}
