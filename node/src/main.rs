//! `wugan-node`: the program of a department.

fn main() -> std::process::ExitCode {
    wugan_node::program::main(std::env::args_os())
}
