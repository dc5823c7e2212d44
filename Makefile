# Each target is one line to a script; what it does is said there.
.PHONY: help run stop stop-lab test fuzz check bench lab

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 16
run: ## build, bring up what is missing, protect a VM, lose it, restore it, prove it
	@scripts/run
stop: ## stop the daemons that `make run` started; backups and logs stay
	@scripts/stop
stop-lab: ## the same, and the lab's cloud
	@scripts/stop lab
test: ## every test, ring by ring (scripts/test RING... for some of them)
	@scripts/test
fuzz: ## the parsers of bytes we did not write, a minute each (scripts/fuzz SECONDS TARGET...)
	@scripts/fuzz
check: ## format, lints and the repository's rules only
	@scripts/test check
bench: ## the data path against its peers (BENCH_DIR, BENCH_GIB, BENCH_RUNS, GROUPS="full restore": benches/bench.py)
	@scripts/bench $(GROUPS)
lab: ## a real OpenStack on this machine (tests/live/lab/README.md)
	@tests/live/lab/lab up --with ceph,neutron-agents
