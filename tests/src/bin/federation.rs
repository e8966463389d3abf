//! The demo's program, built with the tests, so that they need no other build.

fn main() -> std::process::ExitCode {
    wugan_demo::program::main()
}
