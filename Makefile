# demo       a warehouse, a collector and a toy ERP on this machine; ends by itself
# demo-keep  the same, left running, for your own files
# test       everything that CI runs
# test-quick the part that needs no rights and no servers
# soak       the long counts: 200 kills, 50 power cuts a side and more (about 100 minutes), then 20 minutes of each fuzz target (about four hours)
# fuzz       bytes that nobody thought of, for FUZZ_SECONDS each target (22 of them, two at once; FUZZ_TARGETS="csv x12" for some)
# check      formatting, lints, docs, tests, each crate alone, licences
# bench      the figures, on this machine

CARGO ?= cargo
NEXTEST := $(shell command -v cargo-nextest 2>/dev/null)
# What the scenarios need of the daemons: points to be killed at (see dray-edges). Nobody else builds them so. And ODBC, which links libodbc.
FAILPOINTS := --features dray-agent/failpoints,dray-collector/failpoints,dray-delivery/servers,dray-agent/odbc
CRATES := dray-edges dray-proto dray-adapter dray-formats dray-file-drop dray-soap dray-change-log dray-mapping dray-buffer dray-uplink \
          dray-agent dray-store dray-delivery dray-collector dray-tests

ifdef NEXTEST
# Tests wait for servers, syncs and clocks more than they compute: five for two processors.
RUN_TESTS := $(CARGO) nextest run --no-fail-fast --test-threads $(shell echo $$((5 * $$(nproc) / 2)))
else
RUN_TESTS := $(CARGO) test --no-fail-fast
endif

FUZZ_SECONDS ?= 120
FUZZ_TARGETS ?=

.PHONY: demo demo-keep test test-quick soak fuzz check bench tools build

DEMO := --release --bin dray-agent --bin dray-collector --bin dray-demo

demo:
	$(CARGO) build $(DEMO)
	target/release/dray-demo

demo-keep:
	$(CARGO) build $(DEMO)
	target/release/dray-demo --keep

# The scenarios run the daemons as processes, so these stand beside the tests with their points.
build:
	$(CARGO) build --workspace --bins $(FAILPOINTS)

# Building the tests of all crates builds the daemons too.
test: tools
	$(RUN_TESTS) --workspace $(FAILPOINTS)

test-quick:
	$(CARGO) test --workspace --exclude dray-tests

# strace shows that no ack leaves before the sync that it rests on. e2fsprogs and xfsprogs make the disks whose
# power is cut, and xfsprogs cuts it. iproute2 and nftables make the network that loses packets; faketime sets clocks.
# sshd is the server that files are picked up from.
# gsoap, jaxws, a JDK and npm make programs that call the agent over SOAP, and servers that it asks. npm brings PostgreSQL 18 too.
# nats-server, sshd and the databases are also what events are delivered to.
# PostgreSQL and MariaDB are the real servers whose logs and tables are read; each test makes one of its own. unixODBC and its drivers read them too.
# xmllint (libxml2-utils) and Python read some files as well, as a second opinion; pip installs two readers of EDI for that, and Tryton, an ERP to deliver to.
tools:
	@packaging/install-tools strace e2fsprogs=mkfs.ext4 xfsprogs=mkfs.xfs iproute2=ip nftables=nft faketime libxml2-utils=xmllint openssh-server=sshd nats-server python3 python3-pip=pip3 python3-venv=/usr/share/doc/python3-venv \
	    postgresql=pg_createcluster mariadb-server=mariadbd unixodbc-dev=/usr/include/sql.h odbc-postgresql=/usr/share/psqlodbc odbc-mariadb=/usr/share/doc/odbc-mariadb libsqliteodbc=/usr/share/doc/libsqliteodbc \
	    gsoap=wsdl2h libgsoap-dev=/usr/include/stdsoap2.h jaxws=wsimport openjdk-17-jdk-headless=javac g++ npm

soak: tools
	$(CARGO) build --profile soak --workspace --bins $(FAILPOINTS)
	DRAY_SOAK=1 PROPTEST_CASES=100000 $(CARGO) test --profile soak --no-fail-fast -p dray-formats -p dray-mapping --lib --tests
	DRAY_SOAK=1 $(CARGO) test --profile soak -p dray-buffer -p dray-store -- --test-threads=1 --nocapture
	DRAY_SOAK=1 DRAY_BIN_DIR=$(CURDIR)/target/soak $(CARGO) test -p dray-tests -- --test-threads=1 --nocapture
	$(MAKE) fuzz FUZZ_SECONDS=1200

# libFuzzer is C++. A stable compiler is enough.
fuzz:
	@packaging/install-tools g++
	CARGO="$(CARGO)" fuzz/run $(FUZZ_SECONDS) $(FUZZ_TARGETS)

check: test
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --workspace --all-targets $(FAILPOINTS) -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps
	for crate in $(filter-out dray-tests,$(CRATES)); do $(RUN_TESTS) -p $$crate || exit 1; done
	$(MAKE) build
	$(RUN_TESTS) -p dray-tests
	command -v cargo-deny >/dev/null || $(CARGO) install cargo-deny --locked
	$(CARGO) deny check bans licenses sources

bench:
	$(CARGO) build --release --bins
	target/release/dray-bench
