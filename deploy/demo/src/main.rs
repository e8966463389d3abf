//! `wugan-demo`: a whole federation on one machine.

fn main() -> std::process::ExitCode {
    wugan_demo::program::main()
}
