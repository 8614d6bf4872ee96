# Targets for working on Cria. `make ci` is what must pass before a change lands.
export CGO_ENABLED = 0

FUZZTIME ?= 10m
BENCH    ?= .
REF      ?= HEAD~1

.PHONY: build test long kill race purego arm64 vuln fuzz golden e2e data-proof bench ci

build:
	go build -o cria ./cmd/cria

test:
	go test ./...

# What `go test` leaves out for its length: all kernel sets, all shapes, whole files.
long:
	CRIA_LONG=1 go test -count=1 -timeout 2h ./...

# 200 kills at random moments of saving, and 50 of a run that must end with the
# bits of one that was never killed.
kill:
	CRIA_KILLS=200 go test -count=1 -v -run TestKilledWhileSaving ./internal/train
	CRIA_KILLS=50 go test -count=1 -v -timeout 30m -run TestKilled ./internal/recipe/pretrain

race:
	.ci/run race

purego:
	.ci/run purego

arm64:
	.ci/run arm64

vuln:
	.ci/run vuln

# Every fuzz target for FUZZTIME; a finding is kept as a seed in testdata/fuzz.
# Go spends up to a minute on each new seed to make it smaller: 5 s are enough.
fuzz:
	@set -e; for p in $$(go list ./...); do \
		list=$$(go test -list '^Fuzz' $$p); \
		for f in $$(echo "$$list" | grep '^Fuzz' || true); do \
			echo "== $$p $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$p; \
		done; done

# Rewrites the goldens that this module's own code writes; look at the diff.
golden:
	go test -count=1 $$(grep -rl 'flag.Bool("update"' --include='*_test.go' . | xargs -r -n1 dirname | sort -u) -update

# The main commands on a model made on the spot, and the tests that need shared data.
e2e:
	.ci/run smoke
	go test -count=1 ./internal/cli ./internal/modelfile .

# The data pipeline over the Gutenberg books with planted copies, personal data and
# benchmark items, and 200 builds that are killed; CRIA_PROOF_OUT=DIR keeps the report.
data-proof:
	CRIA_LONG=1 go test -count=1 -v -timeout 60m -run 'TestProof|TestKill|TestFullDisk' ./internal/data

# Greedy texts, likelihoods and quantised bytes against llama.cpp: CRIA_LLAMA_CPP
# is the directory of its programs, CRIA_LLAMA_CPP_CONVERT runs its converter.
peer:
	go test -count=1 -v -timeout 60m -run TestLlamaCPP ./internal/cli

# Benchmarks of the working tree against REF, compared by benchstat.
bench:
	@set -e; tmp=$$(mktemp -d); trap 'git worktree remove --force '$$tmp/ref EXIT; \
	git worktree add -q $$tmp/ref $(REF); \
	(cd $$tmp/ref && go test -run '^$$' -bench '$(BENCH)' -count 6 ./... >$$tmp/old.txt); \
	go test -run '^$$' -bench '$(BENCH)' -count 6 ./... >$$tmp/new.txt; \
	go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da $$tmp/old.txt $$tmp/new.txt

ci:
	.ci/run
