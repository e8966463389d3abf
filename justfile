# What continuous integration runs.
check:
    .ci/run

# The whole federation on this machine.
demo *arguments:
    cargo run --release --bin wugan-demo -- {{arguments}}

# Throughput beside the voprf crate.
bench:
    cargo bench -p wugan-tests

# Half a minute of fuzzing for each reader of others' bytes; needs cargo-fuzz, and a nightly compiler or RUSTC_BOOTSTRAP=1.
fuzz:
    for target in message person run entry note checkpoint; do cargo fuzz run --sanitizer none $target -- -max_total_time=30 || exit 1; done
