# os-brick: what to type.  `make help` lists the targets.
#
# A fresh Debian 12 with rustup's cargo, Python 3.11 and root is enough: every target does the set-up it needs.
# tox.ini says how each kind of test runs; here stands only what to install and in which order.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOX := $(BIN)/tox run --colored=no
# One build of the crate for everybody.
export CARGO_TARGET_DIR := $(CURDIR)/target
export PIP_DISABLE_PIP_VERSION_CHECK := 1

TOOLS := bindep==2.14.0 maturin==1.16.0 reno==4.1.0 setuptools==80.9.0 tox==4.67.15

# Of bindep.txt: what is installed.
PROFILES := test build

# Cheap and telling first; then what waits more than it works, two at a time.  The lab boots virtual machines and comes
# last, by itself.
QUICK := lint,tidy,docs
LONG := engine,stubs,py3,ext,contract,packaging,boundary,consumers

.PHONY: help  ## these lines
help:
	@sed -n 's/^\.PHONY: \([a-z-]*\) *## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: setup  ## Debian packages of bindep.txt and the virtual environment .venv with the tools
setup: $(VENV)/.tools
	@missing="$$($(BIN)/bindep --brief $(PROFILES))" || true; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null || [ "$$(id -u)" != 0 ]; then \
	  echo "please install:" $$missing >&2; exit 1; fi; \
	echo "== installing" $$missing; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get -qq update && apt-get -qq install -y --no-install-recommends $$missing </dev/null >/dev/null

# Debian's python3 comes without venv.
$(VENV)/.tools: Makefile
	@command -v cargo >/dev/null || { echo "please install Rust: https://rustup.rs" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed, set PYTHON=" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
	  || { apt-get -qq update && apt-get -qq install -y --no-install-recommends python3-venv </dev/null >/dev/null; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet $(TOOLS)
	@touch $@

.PHONY: wheel  ## the wheel, in dist/
wheel: setup
	rm -f dist/os_brick-*.whl
	$(BIN)/maturin build --release --locked --out dist

# What CI runs of the lab: the main flows, each in both ways, and the promises nobody else makes.  `make lab` runs all.
MAIN_FLOWS := iscsi/single_path iscsi/multipath iscsi/chap iscsi/encrypted_symlink iscsi/detach_elsewhere \
	iscsi/neighbour_io iscsi/reused_lun iscsi/secrets iscsi/discovery_many_targets iscsi/ipv6:upper \
	iscsi/multipath_conf:yes-no iscsi/multipath_conf:strict-yes iscsi/locks_with_upstream iscsi/bad_input \
	iscsi/alternative_portals:dead iscsi/forced_detach_dead_target iscsi/named_identity fibre_channel/single_path \
	fibre_channel/multipath nvmeof/single_path nvmeof/multipath encryptors/luks:luks1 remotefs/nfs:v4 local/paths

.PHONY: test  ## everything CI runs
test: check
	$(TOX) -e lab -- --package ours $(MAIN_FLOWS)

.PHONY: check  ## everything CI runs except the lab
check: setup
	$(TOX) --fail-fast -e $(QUICK)
	$(BIN)/tox run-parallel --colored=no --parallel 2 --parallel-no-spinner --fail-fast -e $(LONG)

.PHONY: lint  ## format, clippy, ruff, spelling
lint: setup
	$(TOX) -e lint,tidy

.PHONY: verify  ## the verification service and its page, in Chromium
verify: PROFILES += browser
verify: setup
	$(TOX) -e verify

.PHONY: consumers  ## all tests of Nova, Cinder, Glance, cinderclient that meet os_brick, beside upstream 7.1.1
consumers: setup
	$(TOX) -e consumers -- --all --write

.PHONY: lab  ## all scenarios on a real kernel in a virtual machine; SCENARIOS="iscsi/chap ..." for some
lab: setup
	$(TOX) -e lab -- --package ours $(SCENARIOS)

.PHONY: test-cinder  ## a real Cinder in a virtual machine: local attach, migration, backups; two hours or more
test-cinder: setup
	$(TOX) -e test-cinder

# What `make demo` can show: the scenario of tests/lab/scenarios/demo for each transport.
TRANSPORT ?= iscsi
DEMO_iscsi := demo/iscsi
DEMO_fc := demo/fibre_channel
DEMO_nvme := demo/nvmeof

.PHONY: demo  ## watch a volume being attached, used, cut off, extended and detached; TRANSPORT=iscsi, fc or nvme
demo: demo-transport setup
	$(TOX) -q -e demo -- $(DEMO_$(TRANSPORT))

# Before anything is installed or built.
.PHONY: demo-transport
demo-transport:
	@$(if $(DEMO_$(TRANSPORT)),:,$(error TRANSPORT=$(TRANSPORT): it must be iscsi, fc or nvme))

.PHONY: bench  ## measure against upstream 7.1.1; writes its tables in docs/benchmarks.md
bench: setup
	$(TOX) -e bench

.PHONY: bench-lab  ## the same in the lab, with the floor beside; about 40 minutes
bench-lab: setup
	$(TOX) -e lab -- 'bench/*'

.PHONY: format  ## rewrite the Rust source as `make lint` wants it
format:
	cargo fmt

.PHONY: docs  ## the documentation as pages, in target/docs; broken links are errors
docs: setup
	$(TOX) -e docs

.PHONY: notes  ## the release notes, as operators read them
notes: setup
	$(BIN)/reno report .

.PHONY: clean  ## remove what was built; the lab's image and the consumers stay in their caches
clean:
	rm -rf $(VENV) .tox dist target .cache .pytest_cache .mypy_cache .ruff_cache
	find python tests benches -name __pycache__ -prune -exec rm -rf {} +
	rm -f python/os_brick/*.so
