# The commands a person types; each does its own set-up. CARGO_TARGET_DIR is honoured.
CARGO ?= cargo

.PHONY: test check fmt simulate

## test: every test of the workspace, the named answers and 2,000 seeds of the simulator included
test:
	@command -v $(CARGO) >/dev/null || { echo "cargo is missing: install Rust 1.95 or later"; exit 1; }
	$(CARGO) test --workspace --locked

## check: format, lints, docs, dependency rules
check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny check bans licenses sources; else echo "cargo-deny is not installed: skipped (cargo install cargo-deny)"; fi

## fmt: put the code in order
fmt:
	$(CARGO) fmt --all
