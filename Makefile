# The names under which tools of the charm world look for these. What they do is in `.cargo/config.toml` and `.ci/run`.
.PHONY: format lint unit integration pack all

format:
	cargo fmt --all

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

unit:
	cargo test --locked --workspace --lib --bins

# A control plane and a node of their own, on this machine; as root on Debian 12.
integration:
	cargo suite

pack:
	cargo pack

all:
	.ci/run
