# What continuous integration runs.
check:
    .ci/run

# The whole federation on this machine.
demo *arguments:
    cargo run --release --bin wugan-demo -- {{arguments}}

# Throughput beside the voprf crate.
bench:
    cargo bench -p wugan-tests
