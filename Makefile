# The commands a person types; each does its own set-up. CARGO_TARGET_DIR is honoured.
CARGO ?= cargo
# SQLite is built from its source.
NEEDS = command -v $(CARGO) >/dev/null || { echo "cargo is missing: install Rust 1.95 or later (https://rustup.rs)"; exit 1; }; \
  command -v $${CC:-cc} >/dev/null || { echo "a C compiler is missing: install gcc or clang"; exit 1; }

.PHONY: demo test check fmt crash chaos soak bench bench-embedded bench-postgres bench-claims bench-retention

## demo: the main job on real input - 255 recorded GitHub deliveries become governed, receipted actions, against a tracker that misbehaves;
## STORE=postgres plays it over a private Postgres, with a control plane and two workers
STORE ?= embedded
demo:
	@$(NEEDS)
	@case "$(STORE)" in embedded) ;; postgres) scripts/postgres ;; *) echo "STORE is $(STORE): it is embedded or postgres"; exit 1 ;; esac
	$(CARGO) run --locked -p tollgate -- demo --store $(if $(filter postgres,$(STORE)),private,embedded)

## test: every test of the workspace, the named answers and 2,000 seeds of the simulator included, beside a private Postgres server
PRIVATE_POSTGRES = "$${CARGO_TARGET_DIR:-target}/debug/private-postgres"
test:
	@$(NEEDS)
	@scripts/postgres
	$(CARGO) build -q --locked -p tollgate-private-postgres
	$(PRIVATE_POSTGRES) run --fast-unsafe -- $(CARGO) test --workspace --locked

## crash: kill -9 at 100 random moments over 5,000 actions, then the same through a file layer that loses what was not synced
crash:
	$(CARGO) run --release --locked --features lossy -p tollgate -- bench crash
	$(CARGO) run --release --locked --features lossy -p tollgate -- bench crash --lossy

## chaos: 3 workers and 2 control planes over one Postgres, killed, stopped and cut off for 5 minutes; then a rolling restart under load
chaos:
	@scripts/postgres
	$(CARGO) build --release --locked -p tollgate
	$(CARGO) run --release --locked -p tollgate -- bench chaos
	$(CARGO) run --release --locked -p tollgate -- bench rolling

## soak: a million seeds of the simulator; SEEDS=n for another number
SEEDS ?= 1000000
soak:
	$(CARGO) run --release --locked -p tollgate-sim --bin soak -- --seeds $(SEEDS)

## bench: the benchmarks of minutes, beside floors of the same disk; STORE=postgres for those of a private Postgres; leave the machine alone meanwhile
BENCH = $(CARGO) run -q --release --locked -p tollgate -- bench
bench: bench-$(STORE)
bench-embedded:
	$(BENCH) loop
	$(BENCH) loop --concurrency 1
	$(BENCH) ingest
	$(BENCH) ingest --lines 100
	$(BENCH) dedup
	$(BENCH) steps --concurrency 64
	$(BENCH) queue
	$(BENCH) latency
	$(BENCH) open
bench-postgres:
	@scripts/postgres
	$(BENCH) loop --concurrency 64 --store private
	$(BENCH) steps --concurrency 16 --store private
	$(BENCH) steps --steps 1 --concurrency 16 --store private
	$(BENCH) queue --store private
	$(BENCH) latency --store private
	$(BENCH) idle

## bench-claims: a million waiting steps, and a snapshot that stays open for ten minutes: twenty-two minutes
bench-claims:
	@scripts/postgres
	$(BENCH) claims --minutes 10

## bench-retention: a million events written and retired on each engine: an hour, and 25 GB of disk
bench-retention:
	@scripts/postgres
	$(BENCH) retention
	$(BENCH) retention --store private

## check: format, lints, docs, dependency rules
check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny check bans licenses sources; else echo "cargo-deny is not installed: skipped (cargo install cargo-deny)"; fi

## fmt: put the code in order
fmt:
	$(CARGO) fmt --all
