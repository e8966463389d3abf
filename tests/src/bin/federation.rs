//! The demo's program and a department's, built with the tests, so that they need no other build: `wugan-node …` is the
//! latter's command line.

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some("wugan-node") {
        return wugan_node::program::main(env::args_os().skip(1));
    }
    wugan_demo::program::main()
}
